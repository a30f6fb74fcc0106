package bot

import (
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

func TestDecide(t *testing.T) {
	now := at(700)
	open := func(change ...func(*tapio.Story)) tapio.Story {
		s := grown(checkoutOOM(), 600, tapio.News{Kind: tapio.NewsScope, Text: "It grew."}, tapio.News{Kind: tapio.NewsOpened}, tapio.News{Kind: tapio.NewsAbsorbed})
		for _, c := range change {
			c(&s)
		}
		return s
	}
	status := func(st tapio.Status) func(*tapio.Story) {
		return func(s *tapio.Story) { s.Status, s.Resolved, s.AbsorbedInto = st, at(600), "n0de" }
	}
	critical := func(s *tapio.Story) { s.Severity = tapio.SeverityCritical }
	low := func(s *tapio.Story) { s.Severity = tapio.SeverityLow }
	backlog := func(s *tapio.Story) { s.Backlog = true }
	longAgo := func(s *tapio.Story) { s.Resolved = now.Add(-tellWithin - time.Second) }
	justIn := func(s *tapio.Story) { s.Resolved = now.Add(-tellWithin) }

	said := func(change ...func(*thread)) *thread {
		th := &thread{ID: "x", Kind: kindStory, Revision: 1, Status: tapio.StatusOpen, Severity: tapio.SeverityHigh, RootTS: "1.0"}
		for _, c := range change {
			c(th)
		}
		return th
	}
	unposted := func(th *thread) { th.RootTS = "" }
	posting := func(th *thread) { th.RootTS, th.Intent = "", &intent{Do: doPost} }
	was := func(st tapio.Status) func(*thread) { return func(th *thread) { th.Status = st } }
	onBoard := func(th *thread) { th.RootTS, th.Board = "", "backlog-x" }
	acked := func(th *thread) { th.Ack = &ack{User: "U0FIRST"} }
	hushed := func(th *thread) { th.RootTS, th.Hushed = "", true }
	asBad := func(th *thread) { th.Worst = tapio.SeverityCritical }
	// back n times, the last one a minute before the story's revision
	back := func(n int, ago time.Duration) func(*thread) {
		return func(th *thread) {
			for i := range n {
				th.Flaps = append(th.Flaps, at(600).Add(-ago-time.Duration(n-i)*time.Minute))
			}
		}
	}

	for name, c := range map[string]struct {
		said  *thread
		story tapio.Story
		step  step
		loud  bool
		flush bool
		clear bool
		news  int
		storm bool
	}{
		"new story":                               {nil, open(), stepPost, false, false, false, 0, false},
		"new story, only suspected":               {nil, open(status(tapio.StatusSuspected)), stepSilence, false, false, false, 0, false},
		"new story, part of another":              {nil, open(status(tapio.StatusAbsorbed)), stepSilence, false, false, false, 0, false},
		"new story, already over":                 {nil, open(status(tapio.StatusResolved)), stepPost, false, false, false, 0, false},
		"new story, over a day ago":               {nil, open(status(tapio.StatusResolved), justIn), stepPost, false, false, false, 0, false},
		"new story, over more than a day ago":     {nil, open(status(tapio.StatusResolved), longAgo), stepSilence, false, false, false, 0, false},
		"new story, there before us":              {nil, open(backlog), stepBacklog, false, false, false, 0, false},
		"new story, there before us and over":     {nil, open(backlog, status(tapio.StatusResolved)), stepSilence, false, false, false, 0, false},
		"same revision":                           {said(func(th *thread) { th.Revision = 2 }), open(), stepSilence, false, false, false, 0, false},
		"older revision":                          {said(func(th *thread) { th.Revision = 3 }), open(status(tapio.StatusResolved)), stepSilence, false, false, false, 0, false},
		"it grew":                                 {said(), open(), stepEdit, false, false, false, 1, false},
		"it grew before it was posted":            {said(unposted), open(), stepEdit, false, false, false, 1, false},
		"it got worse":                            {said(), open(critical), stepEditNow, true, true, false, 1, false},
		"it got worse before it was posted":       {said(unposted), open(critical), stepEditNow, false, true, false, 1, false},
		"it got worse while being posted":         {said(posting), open(critical), stepEditNow, true, true, false, 1, false},
		"it got better":                           {said(), open(low), stepEdit, false, false, false, 1, false},
		"back to suspected":                       {said(), open(status(tapio.StatusSuspected)), stepSilence, false, false, false, 0, false},
		"resolved":                                {said(), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1, false},
		"resolved before it was posted":           {said(unposted), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1, false},
		"resolved before it was posted, long ago": {said(unposted), open(status(tapio.StatusResolved), longAgo), stepDrop, false, false, false, 0, false},
		"resolved long ago but posted":            {said(), open(status(tapio.StatusResolved), longAgo), stepEditNow, false, true, false, 1, false},
		"more of a resolved story":                {said(was(tapio.StatusResolved)), open(status(tapio.StatusResolved)), stepEdit, false, false, false, 1, false},
		"came back":                               {said(was(tapio.StatusResolved)), open(), stepEditNow, true, true, true, 1, false},
		"came back before it was posted":          {said(unposted, was(tapio.StatusResolved)), open(), stepEditNow, false, true, true, 1, false},
		"on its own again":                        {said(was(tapio.StatusAbsorbed)), open(), stepEditNow, true, true, true, 1, false},
		"absorbed":                                {said(), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1, false},
		"absorbed after it was resolved":          {said(was(tapio.StatusResolved)), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1, false},
		"absorbed before it was posted":           {said(unposted), open(status(tapio.StatusAbsorbed)), stepDrop, false, false, false, 0, false},
		"absorbed while being posted":             {said(posting), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1, false},
		"absorbed twice":                          {said(was(tapio.StatusAbsorbed)), open(status(tapio.StatusAbsorbed)), stepEdit, false, false, false, 1, false},
		"of the summary: grew":                    {said(onBoard), open(), stepEdit, false, false, false, 1, false},
		"of the summary: resolved":                {said(onBoard), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1, false},
		"of the summary: absorbed":                {said(onBoard), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1, false},
		"of the summary: worse":                   {said(onBoard), open(critical), stepPost, false, true, false, 1, false},
		"of the summary: came back":               {said(onBoard, was(tapio.StatusResolved)), open(), stepPost, false, true, true, 1, false},
		"new story, in a storm":                   {nil, open(), stepStorm, false, false, false, 0, true},
		"new story, in a storm, already over":     {nil, open(status(tapio.StatusResolved)), stepStorm, false, false, false, 0, true},
		"new story, in a storm, there before us":  {nil, open(backlog), stepBacklog, false, false, false, 0, true},
		"it got worse in a storm":                 {said(), open(critical), stepEditNow, true, true, false, 1, true},
		"of a list: worse while the storm is on":  {said(onBoard), open(critical), stepEditNow, false, true, false, 1, true},
		"of a list: back while the storm is on":   {said(onBoard, was(tapio.StatusResolved)), open(), stepEditNow, false, true, true, 1, true},
		"as bad again":                            {said(asBad), open(critical), stepEditNow, false, true, false, 1, false},
		"came back twice":                         {said(was(tapio.StatusResolved), back(1, 0)), open(), stepEditNow, true, true, true, 1, false},
		"came back the third time in an hour":     {said(was(tapio.StatusResolved), back(2, 0)), open(), stepEdit, false, false, false, 1, false},
		"came back three times, long ago":         {said(was(tapio.StatusResolved), back(3, time.Hour)), open(), stepEditNow, true, true, true, 1, false},
		"resolved after coming and going":         {said(back(3, 0)), open(status(tapio.StatusResolved)), stepEdit, false, false, false, 1, false},
		"resolved after coming back twice":        {said(back(2, 0)), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1, false},
		"absorbed while coming and going":         {said(back(5, 0)), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1, false},
		"deleted twice: grew":                     {said(hushed), open(), stepHold, false, false, false, 0, false},
		"deleted twice: resolved":                 {said(hushed), open(status(tapio.StatusResolved)), stepHold, false, false, false, 0, false},
		"deleted twice: worse":                    {said(hushed), open(critical), stepPost, false, true, false, 1, false},
		"deleted twice: came back":                {said(hushed, was(tapio.StatusResolved)), open(), stepPost, false, true, true, 1, false},
		"acked, worse":                            {said(acked), open(critical), stepEditNow, true, true, false, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := decide(c.said, &c.story, room{now: now, storm: c.storm})
			for i, a := range d.outcomes() {
				if a.why == "" || a.step == "" {
					t.Errorf("act %d: %q because %q", i, a.step, a.why)
				}
			}
			if direct := c.said != nil && c.said.Ack != nil; d.direct != direct {
				t.Errorf("direct message %v, want %v", d.direct, direct)
			}
			if d.step != c.step || d.loud != c.loud || d.flush != c.flush || d.clear != c.clear || len(d.news) != c.news {
				t.Errorf("got %q (%s) loud %v flush %v clear %v news %d,\nwant %q loud %v flush %v clear %v news %d",
					d.step, d.why, d.loud, d.flush, d.clear, len(d.news), c.step, c.loud, c.flush, c.clear, c.news)
			}
		})
	}
}

// TestDecideMuted: nothing is said of a muted story, and what is out stays true.
func TestDecideMuted(t *testing.T) {
	s := grown(checkoutOOM(), 600, tapio.News{Kind: tapio.NewsSeverity, Text: "It got worse."})
	s.Severity = tapio.SeverityCritical
	out := &thread{Kind: kindStory, Revision: 1, Status: tapio.StatusOpen, Severity: tapio.SeverityHigh, RootTS: "1.0", Ack: first}
	waits := &thread{Kind: kindStory, Revision: 1, Status: tapio.StatusOpen, Severity: tapio.SeverityHigh}
	listed := &thread{Kind: kindStory, Revision: 1, Status: tapio.StatusOpen, Severity: tapio.SeverityHigh, Board: "backlog-x"}
	for name, c := range map[string]struct {
		said *thread
		step step
	}{"new": {nil, stepHold}, "out": {out, stepEditNow}, "not out yet": {waits, stepHold}, "of a list": {listed, stepEditNow}} {
		d := decide(c.said, &s, room{now: at(700), muted: true})
		if d.step != c.step || len(d.news) > 0 || d.loud || d.direct || d.flush || len(d.outcomes()) != 1 {
			t.Errorf("%s: %+v, want %s alone", name, d, c.step)
		}
	}
}

func TestNext(t *testing.T) {
	o := &Options{BundleFor: 20 * time.Second, EditEvery: 30 * time.Second}
	now := at(1000)
	f := func(age time.Duration) fact { return fact{Kind: tapio.NewsScope, At: now.Add(-age)} }
	for name, c := range map[string]struct {
		t    thread
		do   deed
		wait time.Duration // 0: due; negative: nothing
	}{
		"nothing":                          {thread{RootTS: "1.0"}, "", -1},
		"a new root":                       {thread{Root: rootNow}, doPost, 0},
		"a new root with news":             {thread{Root: rootNow, News: []fact{f(0)}, Flush: true}, doPost, 0},
		"a summary that gathers":           {thread{Root: rootNow, After: now.Add(7 * time.Second)}, doPost, 7 * time.Second},
		"a change of state":                {thread{RootTS: "1.0", Root: rootNow, ShownAt: now}, doEdit, 0},
		"growth, just shown":               {thread{RootTS: "1.0", Root: rootSoon, ShownAt: now}, doEdit, 30 * time.Second},
		"growth, shown a second too short": {thread{RootTS: "1.0", Root: rootSoon, ShownAt: now.Add(-29 * time.Second)}, doEdit, time.Second},
		"growth, shown long ago":           {thread{RootTS: "1.0", Root: rootSoon, ShownAt: now.Add(-30 * time.Second)}, doEdit, 0},
		"news, fresh":                      {thread{RootTS: "1.0", News: []fact{f(0)}}, doReply, 20 * time.Second},
		"news, old and fresh":              {thread{RootTS: "1.0", News: []fact{f(15 * time.Second), f(0)}}, doReply, 5 * time.Second},
		"news that wait no more":           {thread{RootTS: "1.0", News: []fact{f(20 * time.Second)}}, doReply, 0},
		"urgent news":                      {thread{RootTS: "1.0", News: []fact{f(0)}, Flush: true}, doReply, 0},
		"state before urgent news":         {thread{RootTS: "1.0", Root: rootNow, News: []fact{f(0)}, Flush: true}, doEdit, 0},
		"news before growth":               {thread{RootTS: "1.0", Root: rootSoon, News: []fact{f(time.Minute)}}, doReply, 0},
		"a long thread":                    {thread{RootTS: "1.0", Replies: rollingAfter, News: []fact{f(time.Minute)}}, doRoll, 0},
		"a long thread, resolved":          {thread{RootTS: "1.0", Replies: rollingAfter, News: []fact{{Kind: tapio.NewsResolved}}, Flush: true}, doReply, 0},
		"a long thread, loud":              {thread{RootTS: "1.0", Replies: rollingAfter, News: []fact{f(0), {Broadcast: true}}, Flush: true}, doReply, 0},
		"a rolling reply that is due":      {thread{RootTS: "1.0", Rolling: &rolling{Due: true}}, doRoll, 0},
		"an intent goes first":             {thread{RootTS: "1.0", Root: rootNow, Intent: &intent{Do: doReply}, wait: now.Add(time.Second)}, doReply, time.Second},
		"news of no root":                  {thread{News: []fact{f(0)}}, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := c.t.next(o, now)
			if !ok {
				if c.wait >= 0 {
					t.Fatal("nothing to say")
				}
				return
			}
			if c.wait < 0 {
				t.Fatalf("says %s", e.do)
			}
			if wait := max(e.at.Sub(now), 0); e.do != c.do || wait != c.wait {
				t.Errorf("%s in %s, want %s in %s", e.do, wait, c.do, c.wait)
			}
		})
	}
}
