package slackfake

import (
	"context"
	"net/http"
)

// addViews adds what the page asks for about modals and the App Home.
func (w *Workspace) addViews(mux *http.ServeMux) {
	mux.Handle("POST /page/view-submit", guard(http.HandlerFunc(w.serveSubmit)))
	mux.Handle("POST /page/view-close", guard(http.HandlerFunc(w.serveClose)))
	mux.Handle("POST /page/view-click", guard(http.HandlerFunc(w.serveViewClick)))
	mux.Handle("POST /page/home", guard(http.HandlerFunc(w.serveHome)))
}

// serveSubmit sends the modal that the person at the page has filled in.
func (w *Workspace) serveSubmit(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Values map[string]string `json:"values"`
	}
	if !readPagePost(rw, r, &in) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), w.scaled(ackWithin))
	defer cancel()
	writePageResult(rw, w.Submit(ctx, w.me().ID, in.Values))
}

// serveClose closes the modal of the person at the page.
func (w *Workspace) serveClose(rw http.ResponseWriter, r *http.Request) {
	if !readPagePost(rw, r, &struct{}{}) {
		return
	}
	w.CloseModal(w.me().ID)
	writePageResult(rw, nil)
}

// serveViewClick presses a button of the modal or the App Home.
func (w *Workspace) serveViewClick(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		ActionID string `json:"action_id"`
		BlockID  string `json:"block_id"`
		Value    string `json:"value"`
		Home     bool   `json:"home"`
	}
	if !readPagePost(rw, r, &in) {
		return
	}
	d, err := w.prepareViewClick(Action{User: w.me().ID, ActionID: in.ActionID, BlockID: in.BlockID, Value: in.Value}, in.Home)
	if err == nil {
		err = w.handOver(d, nil)
	}
	writePageResult(rw, err)
}

// serveHome tells the app that the person at the page opened its home.
func (w *Workspace) serveHome(rw http.ResponseWriter, r *http.Request) {
	if !readPagePost(rw, r, &struct{}{}) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), w.scaled(ackWithin))
	defer cancel()
	writePageResult(rw, w.OpenHome(ctx, w.me().ID))
}
