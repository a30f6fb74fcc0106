package slackfake

import "slices"

// Group is a user group.
type Group struct {
	ID     string   // made when empty
	Handle string   // without @
	Users  []string // names or IDs
}

func (w *Workspace) group(id string) *Group {
	i := slices.IndexFunc(w.groups, func(g *Group) bool { return g.ID == id })
	if i < 0 {
		return nil
	}
	return w.groups[i]
}

// SetGroup changes who is in a user group, by its handle.
func (w *Workspace) SetGroup(handle string, users ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		if g.Handle == handle {
			g.Users = users
		}
	}
}

// memberIDs are the user IDs of a group.
func (w *Workspace) memberIDs(g *Group) []string {
	out := []string{}
	for _, name := range g.Users {
		if u := w.user(name); u != nil {
			out = append(out, u.ID)
		}
	}
	return out
}

func (w *Workspace) usergroupsList(args) (reply, error) {
	list := []map[string]any{}
	for _, g := range w.groups {
		list = append(list, map[string]any{
			"id": g.ID, "team_id": teamID, "is_usergroup": true, "handle": g.Handle, "name": g.Handle, "user_count": len(g.Users),
		})
	}
	return reply{"usergroups": list}, nil
}

func (w *Workspace) usergroupsUsersList(a args) (reply, error) {
	g := w.group(a["usergroup"])
	if g == nil {
		return nil, fail("no_such_subteam")
	}
	return reply{"users": w.memberIDs(g)}, nil
}
