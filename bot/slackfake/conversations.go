package slackfake

import (
	"encoding/base64"
	"slices"
	"strings"
)

func (w *Workspace) apiTest(a args) (reply, error) {
	if e := a["error"]; e != "" {
		return nil, fail(e)
	}
	return reply{}, nil
}

func (w *Workspace) authTest(args) (reply, error) {
	return reply{
		"url": "http://localhost/", "team": w.opts.Team, "user": w.bot.Name,
		"team_id": teamID, "user_id": w.bot.ID, "bot_id": w.botID, "is_enterprise_install": false,
	}, nil
}

// conversation is a channel as the Web API shows it.
func (w *Workspace) conversation(c *channel) map[string]any {
	out := map[string]any{
		"id": c.ID, "created": c.created.Unix(), "is_archived": c.Archived,
		"is_member": c.members[w.bot.ID], "is_private": c.Private || c.IM != "",
		"is_channel": !c.Private && c.IM == "", "is_group": c.Private, "is_im": c.IM != "",
		"is_general": false, "is_shared": false, "is_mpim": false, "context_team_id": teamID,
	}
	if c.IM != "" {
		out["user"] = c.IM
		return out
	}
	out["name"] = c.Name
	out["name_normalized"] = c.Name
	out["topic"] = map[string]any{"value": c.Topic, "creator": "", "last_set": 0}
	out["purpose"] = map[string]any{"value": "", "creator": "", "last_set": 0}
	out["num_members"] = len(c.memberIDs())
	return out
}

func (c *channel) memberIDs() []string {
	var ids []string
	for id, in := range c.members {
		if in {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// visible says whether the bot can know the channel at all.
func (w *Workspace) visible(c *channel) bool {
	return c != nil && (!c.Private || c.members[w.bot.ID])
}

// scoped refuses what needs a scope of the channel's kind: reading the history of
// a direct message wants im:history, not channels:history.
func (w *Workspace) scoped(kind, right string) error {
	scope := map[string]string{"public_channel": "channels:", "private_channel": "groups:", "im": "im:", "mpim": "mpim:"}[kind] + right
	if slices.Contains(w.opts.Scopes, scope) {
		return nil
	}
	return &apiError{name: "missing_scope", extra: map[string]any{"needed": scope, "provided": strings.Join(w.opts.Scopes, ",")}}
}

func (c *channel) kind() string {
	switch {
	case c.IM != "":
		return "im"
	case c.Private:
		return "private_channel"
	}
	return "public_channel"
}

func (w *Workspace) conversationsList(a args) (reply, error) {
	types := a["types"]
	if types == "" {
		types = "public_channel"
	}
	want := map[string]bool{}
	for t := range strings.SplitSeq(types, ",") {
		if err := w.scoped(strings.TrimSpace(t), "read"); err != nil {
			return nil, err
		}
		want[strings.TrimSpace(t)] = true
	}
	var all []map[string]any
	for _, c := range w.channels {
		if want[c.kind()] && w.visible(c) && !(c.Archived && a.on("exclude_archived")) {
			all = append(all, w.conversation(c))
		}
	}
	part, next, err := page(all, a, 100, 1000, func(m map[string]any) string { return m["id"].(string) })
	if err != nil {
		return nil, err
	}
	return reply{"channels": part, "response_metadata": map[string]any{"next_cursor": next}}, nil
}

func (w *Workspace) conversationsInfo(a args) (reply, error) {
	c := w.channel(a["channel"])
	if !w.visible(c) || c.ID != a["channel"] {
		return nil, fail("channel_not_found")
	}
	if err := w.scoped(c.kind(), "read"); err != nil {
		return nil, err
	}
	return reply{"channel": w.conversation(c)}, nil
}

func (w *Workspace) conversationsMembers(a args) (reply, error) {
	c := w.channel(a["channel"])
	if !w.visible(c) || c.ID != a["channel"] {
		return nil, fail("channel_not_found")
	}
	part, next, err := page(c.memberIDs(), a, 100, 1000, func(s string) string { return s })
	if err != nil {
		return nil, err
	}
	return reply{"members": part, "response_metadata": map[string]any{"next_cursor": next}}, nil
}

func (w *Workspace) join(a args) (reply, error) {
	c := w.channel(a["channel"])
	switch {
	case c == nil || c.ID != a["channel"] || c.Private && !c.members[w.bot.ID]:
		return nil, fail("channel_not_found")
	case c.IM != "" || c.Private:
		return nil, fail("method_not_supported_for_channel_type")
	case c.Archived:
		return nil, fail("is_archived")
	}
	out := reply{}
	if c.members[w.bot.ID] {
		out["warning"] = "already_in_channel"
		out["response_metadata"] = map[string]any{"warnings": []string{"already_in_channel"}}
	}
	c.members[w.bot.ID] = true
	out["channel"] = w.conversation(c)
	return out, nil
}

func (w *Workspace) open(a args) (reply, error) {
	if id := a["channel"]; id != "" {
		c := w.channel(id)
		if c == nil || c.ID != id || c.IM == "" {
			return nil, fail("channel_not_found")
		}
		return reply{"channel": map[string]any{"id": c.ID}}, nil
	}
	ids := strings.Split(a["users"], ",")
	if len(ids) != 1 {
		return nil, fail("not_enough_users") // group conversations are not kept here
	}
	u := w.user(ids[0])
	if u == nil || u.ID != ids[0] {
		return nil, fail("user_not_found")
	}
	c := w.direct(u.ID)
	if a.on("return_im") {
		return reply{"channel": w.conversation(c)}, nil
	}
	return reply{"channel": map[string]any{"id": c.ID}}, nil
}

func (w *Workspace) readable(id string) (*channel, error) {
	c := w.channel(id)
	switch {
	case !w.visible(c) || c.ID != id:
		return nil, fail("channel_not_found")
	case !c.members[w.bot.ID]:
		return nil, fail("not_in_channel")
	}
	return c, w.scoped(c.kind(), "history")
}

func (w *Workspace) history(a args) (reply, error) {
	c, err := w.readable(a["channel"])
	if err != nil {
		return nil, err
	}
	in := span{oldest: a["oldest"], latest: a["latest"], inclusive: a.on("inclusive")}
	var all []*Message
	for _, root := range c.roots {
		if in.holds(root.TS) {
			all = append(all, root)
		}
		for _, m := range root.replies {
			if m.Broadcast && in.holds(m.TS) {
				all = append(all, m)
			}
		}
	}
	slices.SortFunc(all, func(x, y *Message) int { return compareTS(y.TS, x.TS) })
	return w.messagePage(all, a, 100)
}

func (w *Workspace) replies(a args) (reply, error) {
	c, err := w.readable(a["channel"])
	if err != nil {
		return nil, err
	}
	_, root := c.message(a["ts"])
	if root == nil {
		return nil, fail("thread_not_found")
	}
	in := span{oldest: a["oldest"], latest: a["latest"], inclusive: a.on("inclusive")}
	all := []*Message{root}
	for _, m := range root.replies {
		if in.holds(m.TS) {
			all = append(all, m)
		}
	}
	return w.messagePage(all, a, 1000)
}

func (w *Workspace) messagePage(all []*Message, a args, def int) (reply, error) {
	part, next, err := page(all, a, def, 1000, func(m *Message) string { return m.TS })
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, m := range part {
		list = append(list, w.wire(m, a.on("include_all_metadata")))
	}
	return reply{
		"messages": list, "has_more": next != "",
		"response_metadata": map[string]any{"next_cursor": next},
	}, nil
}

// page returns the part of a list that the cursor and the limit ask for, and
// the next cursor.
func page[T any](all []T, a args, def, most int, key func(T) string) (part []T, next string, err error) {
	limit := a.integer("limit", def)
	if limit == 0 {
		limit = def
	}
	if limit < 0 || limit > most {
		return nil, "", fail("invalid_limit")
	}
	from := 0
	if cur := a["cursor"]; cur != "" {
		b, err := base64.StdEncoding.DecodeString(cur)
		if err != nil {
			return nil, "", fail("invalid_cursor")
		}
		k := strings.TrimPrefix(string(b), "next:")
		from = slices.IndexFunc(all, func(v T) bool { return key(v) == k })
		if from < 0 {
			return nil, "", fail("invalid_cursor")
		}
	}
	to := min(from+limit, len(all))
	if to < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("next:" + key(all[to])))
	}
	return append([]T{}, all[from:to]...), next, nil
}
