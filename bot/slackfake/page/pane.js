// A scrolling list of messages that changes in place: a message that did not
// change keeps its node, one that did is replaced and lit up for a moment.
import { el, day, tsDate } from "./dom.js";

const nearEnd = 80; // pixels: closer to the end than this, the pane follows

export class Pane {
  // scroll is the scrolling element, list the one in it, jump the button that
  // leads to new messages (or null), draw makes a node of a message, empty makes
  // what is shown without messages.
  constructor(scroll, list, jump, draw, empty) {
    Object.assign(this, { scroll, list, jump, draw, empty });
    this.nodes = new Map(); // ts → {message, node}
    this.following = true;
    this.top = 0; // where the pane was last put
    scroll.addEventListener("scroll", () => this.look());
    jump?.addEventListener("click", () => this.stick());
    new ResizeObserver(() => this.following && this.toEnd()).observe(list);
  }

  // show makes the pane show these messages. changed: ts of a message that was
  // edited; anew: forget what was there; keep: hold the place when older
  // messages come in above; divider: {after, text}.
  show(messages, { changed = "", anew = false, keep = false, divider = null } = {}) {
    if (this.scroll.scrollTop < this.top - 1) this.look(); // scrolled up, and not heard of yet
    const before = this.scroll.scrollHeight;
    const had = this.nodes;
    this.nodes = new Map();
    const out = [];
    let lastDay = "";
    let grew = false;
    for (const m of messages) {
      const d = day(tsDate(m.ts));
      if (d !== lastDay) out.push(el("div", { class: "day", role: "separator" }, el("span", {}, d)));
      lastDay = d;
      const old = had.get(m.ts);
      let node = old?.node;
      if (anew || !old || old.message !== m) {
        node = this.draw(m);
        if (changed === m.ts) node.classList.add("lit");
        if (!anew && !old && !keep) {
          node.classList.add("fresh");
          grew = true;
        }
      }
      this.nodes.set(m.ts, { message: m, node });
      out.push(node);
      if (divider?.after === m.ts) out.push(el("div", { class: "day", role: "separator" }, el("span", {}, divider.text)));
    }
    if (!messages.length && this.empty) out.push(this.empty());
    this.place(out);
    if (anew) this.following = true;
    if (keep) this.scroll.scrollTop += this.scroll.scrollHeight - before;
    else if (this.following) this.toEnd();
    else if (grew && this.jump) this.jump.hidden = false;
  }

  // place puts the nodes into the list and moves only those that must move, so
  // that focus and open menus survive.
  place(nodes) {
    const wanted = new Set(nodes);
    for (const n of [...this.list.childNodes]) if (!wanted.has(n)) n.remove();
    let next = this.list.firstChild;
    for (const n of nodes) {
      if (n === next) next = next.nextSibling;
      else this.list.insertBefore(n, next);
    }
  }

  // look sees whether the person reads the end.
  look() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    this.following = scrollHeight - scrollTop - clientHeight < nearEnd;
    this.top = scrollTop;
    if (this.following && this.jump) this.jump.hidden = true;
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.top = this.scroll.scrollTop;
  }

  // stick goes to the end and follows from there.
  stick() {
    this.following = true;
    this.toEnd();
    if (this.jump) this.jump.hidden = true;
  }
}
