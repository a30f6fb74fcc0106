package slackfake

import (
	"fmt"
	"net/http"
	"time"
)

// panelFaults are the faults that the page offers, each with words for a person.
func panelFaults() []panelFault {
	return []panelFault{
		{string(RateLimited), "429 with Retry-After"},
		{string(RateLimitedBare), "429 without Retry-After"},
		{string(RateLimitedOK), "200 with the error ratelimited"},
		{string(ServerError), "500, nothing done"},
		{string(BadGateway), "502, nothing done"},
		{string(CutBefore), "Connection cut, nothing done"},
		{string(CommitThenCut), "Connection cut, but done"},
		{string(Slow), "Answer after 5 s"},
		{string(DuplicateEnvelope), "Click or command delivered twice"},
		{string(OutOfOrder), "Click or command overtaken by the next"},
		{string(LostAck), "Acknowledgement not heard"},
	}
}

// panelFault is one fault as the page offers it.
type panelFault struct {
	Kind  string `json:"kind"`
	Words string `json:"words"`
}

// panelSlow is how long a slow answer of the panel takes.
const panelSlow = 5 * time.Second

// panelView is what the fault panel of the page shows.
type panelView struct {
	Faults  []panelFault   `json:"faults"`
	Methods []string       `json:"methods"`
	Waiting int            `json:"waiting"` // faults that wait for a call
	Struck  map[string]int `json:"struck"`  // calls that a fault struck so far, by kind
	Share   float64        `json:"share"`   // of all calls that fail at random
	Revoked bool           `json:"revoked"`
	Sockets int            `json:"sockets"`
}

func (w *Workspace) panel() panelView {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := panelView{
		Faults: panelFaults(), Methods: []string{"", "chat.postMessage", "chat.update", "conversations.history", "conversations.replies", "auth.test", "response_url"},
		Waiting: len(w.faults), Struck: map[string]int{}, Revoked: w.revoked, Sockets: len(w.sockets),
	}
	if w.random != nil {
		v.Share = w.random.share
	}
	for _, c := range w.calls {
		if c.Fault != "" {
			v.Struck[string(c.Fault)]++
		}
	}
	return v
}

func (w *Workspace) servePanel(rw http.ResponseWriter, _ *http.Request) {
	writeJSON(rw, http.StatusOK, w.panel())
}

// order is what the person at the page wants to go wrong.
type order struct {
	Do      string  `json:"do"`      // inject, share, revoke, restore, archive, unarchive, remove, invite, delete, refresh, cut, stall, clear
	Kind    string  `json:"kind"`    // of inject
	Method  string  `json:"method"`  // of inject; "" is any call
	Times   int     `json:"times"`   // of inject
	Share   float64 `json:"share"`   // of share
	Channel string  `json:"channel"` // of archive, unarchive, remove, invite, delete
	TS      string  `json:"ts"`      // of delete; the newest root message when empty
}

// serveFault carries out an order of the fault panel and answers with what it
// then shows.
func (w *Workspace) serveFault(rw http.ResponseWriter, r *http.Request) {
	var o order
	if !readPagePost(rw, r, &o) {
		return
	}
	out := map[string]any{}
	if err := w.obey(o); err != nil {
		out["error"] = err.Error()
	}
	out["panel"] = w.panel()
	writeJSON(rw, http.StatusOK, out)
}

func (w *Workspace) obey(o order) error {
	switch o.Do {
	case "inject":
		f := Fault{Kind: FaultKind(o.Kind), Method: o.Method, Times: min(max(o.Times, 1), 100), RetryAfter: panelSlow}
		switch f.Kind {
		case DuplicateEnvelope, LostAck, OutOfOrder:
			f.Method = envelopeMethod
		case Slow:
			f.Delay = panelSlow
		case RateLimited, RateLimitedBare, RateLimitedOK, ServerError, BadGateway, CutBefore, CommitThenCut:
		default:
			return fmt.Errorf("there is no fault %q", o.Kind)
		}
		w.Inject(f)
	case "share":
		w.InjectRandom(min(max(o.Share, 0), 1), campaignKinds(), "chat.postMessage", "chat.update", "conversations.history", "conversations.replies", "conversations.list", "auth.test", "chat.getPermalink", "response_url")
	case "clear":
		w.ClearFaults()
	case "revoke", "restore":
		w.SetRevoked(o.Do == "revoke")
	case "archive", "unarchive":
		w.SetArchived(o.Channel, o.Do == "archive")
	case "remove", "invite":
		w.SetBotMember(o.Channel, o.Do == "invite")
	case "delete":
		if o.TS == "" {
			if all := w.Messages(o.Channel); len(all) > 0 {
				o.TS = all[len(all)-1].TS
			}
		}
		if !w.DeleteMessage(o.Channel, o.TS) {
			return fmt.Errorf("there is no such message to delete")
		}
	case "refresh":
		w.RefreshSockets()
	case "cut":
		w.CutSockets()
	case "stall":
		w.StallSockets()
	default:
		return fmt.Errorf("the panel can't do %q", o.Do)
	}
	return nil
}

// campaignKinds are the faults of single calls.
func campaignKinds() []FaultKind {
	return []FaultKind{RateLimited, RateLimitedBare, RateLimitedOK, ServerError, BadGateway, CutBefore, CommitThenCut}
}

// ClearFaults takes back every fault that waits for a call, and random ones.
func (w *Workspace) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults, w.random = nil, nil
}
