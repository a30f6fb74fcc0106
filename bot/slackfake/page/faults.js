// The fault panel: lets the stand-in fail as Slack does, to see that nothing is
// lost or told twice.
import { el } from "./dom.js";

const $ = (id) => document.getElementById(id);

// setUpFaults makes the panel work. channel returns the open channel's ID.
export function setUpFaults(channel) {
  const box = $("faults");
  $("open-faults").addEventListener("click", async () => {
    show(await (await fetch("/page/faults")).json());
    box.showModal();
  });
  $("close-faults").addEventListener("click", () => box.close());
  box.addEventListener("click", (ev) => {
    const what = ev.target.closest("[data-do]")?.dataset.do;
    if (what) order({ do: what, channel: channel(), kind: $("fault-kind").value, method: $("fault-method").value, times: Number($("fault-times").value) });
  });
  $("fault-share").addEventListener("input", () => { $("fault-percent").textContent = `${$("fault-share").value} %`; });
  $("fault-share").addEventListener("change", () => order({ do: "share", share: Number($("fault-share").value) / 100 }));
}

async function order(o) {
  let problem = "";
  try {
    const r = await fetch("/page/fault", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(o) });
    const out = await r.json();
    problem = out.error || "";
    show(out.panel);
  } catch {
    problem = "The stand-in cannot be reached.";
  }
  $("faults-problem").textContent = problem;
  $("faults-problem").hidden = !problem;
}

function show(p) {
  if (!$("fault-kind").options.length) {
    $("fault-kind").append(...p.faults.map((f) => el("option", { value: f.kind }, f.words)));
    $("fault-method").append(...p.methods.map((m) => el("option", { value: m }, m || "any call")));
  }
  $("fault-share").value = Math.round(p.share * 100);
  $("fault-percent").textContent = `${Math.round(p.share * 100)} %`;
  const struck = Object.entries(p.struck).map(([kind, n]) => `${kind} ×${n}`).sort();
  const parts = [
    p.revoked ? "The token is revoked." : "The token is good.",
    `${p.sockets} ${p.sockets === 1 ? "socket is" : "sockets are"} open.`,
    p.waiting ? `${p.waiting} ${p.waiting === 1 ? "fault waits" : "faults wait"} for a call.` : "No fault waits for a call.",
    struck.length ? `Struck so far: ${struck.join(", ")}.` : "No call was struck so far.",
  ];
  $("faults-state").textContent = parts.join(" ");
}
