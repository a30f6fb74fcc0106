package slackfake

import (
	"net/http"
)

// Status is the line above the messages of the page.
type Status struct {
	Text     string  `json:"text"`     // "" hides the line
	Fraction float64 `json:"fraction"` // of the work done, 0 to 1; negative without a bar
}

// SetStatus sets the line above the messages of the page: a text, and how far
// the work has come (0 to 1; negative: no bar). An empty text hides it.
func (w *Workspace) SetStatus(text string, fraction float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = Status{Text: text, Fraction: min(fraction, 1)}
	w.publish(change{Kind: changeStatus, Status: &w.status})
}

// The kinds of changes.
const (
	changeMessage = "message" // new or edited
	changeDelete  = "delete"
	changeChannel = "channel"
	changeStatus  = "status"
)

// change is one thing that the page is told.
type change struct {
	Kind    string       `json:"kind"`
	Message *messageView `json:"message,omitempty"`
	Channel *channelView `json:"channel,omitempty"`
	Status  *Status      `json:"status,omitempty"`
}

type messageView struct{}
type channelView struct{}
type watcher struct{}

func (w *Workspace) messageView(m *Message) *messageView { return nil }
func (w *Workspace) channelView(c *channel) *channelView { return nil }
func (w *Workspace) publish(c change)                    {}
func (w *Workspace) addPage(mux *http.ServeMux)          {}
