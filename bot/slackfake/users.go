package slackfake

func (w *Workspace) lookupByEmail(a args) (reply, error) {
	for _, u := range w.users {
		if u.Email != "" && u.Email == a["email"] {
			return reply{"user": w.person(u)}, nil
		}
	}
	return nil, fail("users_not_found")
}

// person is a user as the Web API shows it.
func (w *Workspace) person(u *User) map[string]any {
	return map[string]any{
		"id": u.ID, "team_id": teamID, "name": u.Name, "real_name": u.Title, "deleted": false,
		"is_bot": u.Bot, "is_app_user": false, "tz": "Etc/UTC", "tz_label": "UTC", "tz_offset": 0,
		"profile": map[string]any{
			"real_name": u.Title, "real_name_normalized": u.Title, "display_name": u.Name, "display_name_normalized": u.Name,
		},
	}
}

func (w *Workspace) usersInfo(a args) (reply, error) {
	u := w.user(a["user"])
	if u == nil || u.ID != a["user"] {
		return nil, fail("user_not_found")
	}
	return reply{"user": w.person(u)}, nil
}

func (w *Workspace) usersList(a args) (reply, error) {
	part, next, err := page(w.users, a, 1000, 1000, func(u *User) string { return u.ID })
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, u := range part {
		list = append(list, w.person(u))
	}
	return reply{"members": list, "response_metadata": map[string]any{"next_cursor": next}}, nil
}
