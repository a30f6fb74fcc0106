// Slack's own clients against the stand-in: first the Web API, then a Bolt app
// over Socket Mode that the Go test talks to until it closes standard input.
// URL, BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, PORT and USER come in the environment.
// A second Bolt app hears signed HTTP requests, and judges their signatures.
import assert from "node:assert/strict";
import bolt from "@slack/bolt";
import { SocketModeClient } from "@slack/socket-mode";
import { WebClient, ErrorCode, LogLevel } from "@slack/web-api";

const { URL: base, BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, PORT, USER } = process.env;
const options = { slackApiUrl: `${base}/api/`, logLevel: LogLevel.ERROR, retryConfig: { retries: 0 } };
const web = new WebClient(BOT_TOKEN, options);

const refused = (name, promise) =>
  assert.rejects(promise, (e) => {
    assert.equal(e.code, ErrorCode.PlatformError);
    assert.equal(e.data.error, name);
    return true;
  });

const auth = await web.auth.test();
assert.ok(auth.user_id && auth.bot_id && auth.response_metadata.scopes.includes("chat:write"));

const { channels } = await web.conversations.list({ types: "public_channel", limit: 100 });
const channel = channels.find((c) => c.name === "incidents").id;

const metadata = { event_type: "tapio_post", event_payload: { nonce: "n-1" } };
const blocks = [{ type: "section", text: { type: "mrkdwn", text: "*one*" } }];
const root = await web.chat.postMessage({ channel, text: "one", blocks, metadata });
assert.equal(root.message.text, "one");
for (const text of ["first", "second", "third"]) await web.chat.postMessage({ channel, thread_ts: root.ts, text });
await web.chat.update({ channel, ts: root.ts, text: "one, edited", blocks });

const history = await web.conversations.history({ channel, include_all_metadata: true, limit: 10 });
assert.equal(history.messages.length, 1);
const seen = history.messages[0];
assert.equal(seen.text, "one, edited");
assert.equal(seen.reply_count, 3);
assert.ok(seen.edited.ts);
assert.deepEqual(seen.metadata, metadata);
assert.ok(seen.blocks[0].block_id);

const replies = [];
for await (const page of web.paginate("conversations.replies", { channel, ts: root.ts, limit: 2 })) {
  replies.push(...page.messages.map((m) => m.text));
}
assert.deepEqual(replies, ["one, edited", "first", "second", "third"]);

const { permalink } = await web.chat.getPermalink({ channel, message_ts: root.ts });
assert.ok(permalink.startsWith(base));
await web.chat.postEphemeral({ channel, user: USER, text: "for you" });
await web.reactions.add({ channel, timestamp: root.ts, name: "eyes" });
const { channel: direct } = await web.conversations.open({ users: USER });
await web.chat.postMessage({ channel: direct.id, text: "hello" });

const { usergroups } = await web.usergroups.list();
assert.deepEqual(usergroups.map((g) => g.handle), ["sre"]);
const { users: members } = await web.usergroups.users.list({ usergroup: usergroups[0].id });
assert.deepEqual(members, [USER]);
await refused("no_such_subteam", web.usergroups.users.list({ usergroup: "S404" }));

const home = { type: "home", blocks: [{ type: "section", text: { type: "mrkdwn", text: "*hello*" } }] };
const published = await web.views.publish({ user_id: USER, view: home });
assert.equal(published.view.type, "home");
await refused("hash_conflict", web.views.publish({ user_id: USER, view: home, hash: "old" }));
await refused("invalid_arguments", web.views.publish({ user_id: USER, view: { ...home, blocks: [{ type: "actions", elements: [] }] } }));
await refused("invalid_trigger_id", web.views.open({ trigger_id: "1.2.3", view: { type: "modal", title: { type: "plain_text", text: "x" }, blocks: home.blocks } }));
const joined = await web.conversations.join({ channel: channels.find((c) => c.name === "open").id });
assert.ok(joined.channel.is_member);
assert.ok((await web.conversations.info({ channel })).channel.is_member);

await refused("channel_not_found", web.chat.postMessage({ channel: "C404", text: "x" }));
await refused("no_text", web.chat.postMessage({ channel, text: "" }));
await refused("not_in_channel", web.chat.postMessage({ channel: channels.find((c) => c.name === "elsewhere").id, text: "x" }));
await refused("message_not_found", web.chat.update({ channel, ts: "1.000001", text: "x" }));
await refused("msg_too_long", web.chat.update({ channel, ts: root.ts, text: "x".repeat(4001) }));
await refused("invalid_auth", new WebClient("xoxb-wrong", options).auth.test());
await assert.rejects(web.chat.postMessage({ channel, text: "x", blocks: [{ type: "header", text: { type: "plain_text", text: "x".repeat(151) } }] }), (e) => {
  assert.equal(e.data.error, "invalid_blocks");
  assert.match(e.data.response_metadata.messages[0], /less than 151 characters.*\/blocks\/0\/text\/text/);
  return true;
});
const impatient = new WebClient(BOT_TOKEN, { ...options, rejectRateLimitedCalls: true });
await assert.rejects(async () => { for (;;) await impatient.users.list(); }, (e) => e.code === ErrorCode.RateLimitedError && e.retryAfter > 0);

// The bare Socket Mode client says hello and goes.
const socket = new SocketModeClient({ appToken: APP_TOKEN, logLevel: LogLevel.ERROR, clientOptions: options });
await socket.start();
await socket.disconnect();

// The Bolt app answers commands, clicks, events, modals and a shortcut.
const app = new bolt.App({
  token: BOT_TOKEN, appToken: APP_TOKEN, socketMode: true, logLevel: LogLevel.ERROR, clientOptions: options,
});
const modal = {
  type: "modal", callback_id: "note", private_metadata: "m", title: { type: "plain_text", text: "Note" }, submit: { type: "plain_text", text: "Add" },
  blocks: [{ type: "input", block_id: "text", label: { type: "plain_text", text: "Text" }, element: { type: "plain_text_input", action_id: "value" } }],
};
app.command("/tapio", async ({ command, ack, respond, client }) => {
  if (command.text === "ack") return ack({ text: "in the acknowledgement" });
  await ack();
  if (command.text === "modal") return client.views.open({ trigger_id: command.trigger_id, view: modal });
  if (command.text === "post") return client.chat.postEphemeral({ channel: command.channel_id, user: command.user_id, text: "as an ephemeral" });
  await respond({ response_type: "ephemeral", text: "over the response URL", blocks: [{ type: "section", text: { type: "mrkdwn", text: `*${command.text}*` } }] });
});
app.action("ack", async ({ ack, action, body, client }) => {
  await ack();
  await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text: `${action.value} acknowledged by ${body.user.id}` });
});
app.event("app_home_opened", async ({ event, client }) => {
  const button = { type: "button", action_id: "refresh", text: { type: "plain_text", text: "Refresh" }, value: "v" };
  await client.views.publish({ user_id: event.user, view: { type: "home", blocks: [{ type: "actions", elements: [button] }] } });
});
app.action("refresh", async ({ ack, body, client }) => {
  await ack();
  await client.views.publish({ user_id: body.user.id, view: { type: "home", blocks: [{ type: "header", text: { type: "plain_text", text: "refreshed" } }] } });
});
app.view("note", async ({ ack, view, body, client }) => {
  const text = view.state.values.text.value.value;
  if (text === "bad") return ack({ response_action: "errors", errors: { text: "not that" } });
  await ack();
  await client.chat.postMessage({ channel, text: `${body.user.id} notes ${text} with ${view.private_metadata}` });
});
app.shortcut({ type: "message_action", callback_id: "keep" }, async ({ ack, shortcut, respond, client }) => {
  await ack();
  await respond({ response_type: "ephemeral", text: `kept ${shortcut.message.ts}` });
});
await app.start();
const http = new bolt.App({ token: BOT_TOKEN, signingSecret: SIGNING_SECRET, logLevel: LogLevel.ERROR, clientOptions: options });
http.command("/tapio", async ({ command, ack, respond }) => { await ack(); await respond(`over HTTP: ${command.text}`); });
http.action("ack", async ({ ack, respond }) => { await ack(); await respond({ text: "clicked over HTTP", replace_original: false }); });
http.event("app_home_opened", async ({ event, client }) => {
  await client.views.publish({ user_id: event.user, view: { type: "home", blocks: [{ type: "header", text: { type: "plain_text", text: "over HTTP" } }] } });
});
await http.start({ port: Number(PORT), host: "127.0.0.1" });
console.log("ready");
process.stdin.resume();
await new Promise((done) => process.stdin.on("end", done));
await app.stop();
await http.stop();
process.exit(0);
