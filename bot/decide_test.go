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

	for name, c := range map[string]struct {
		said  *thread
		story tapio.Story
		step  step
		loud  bool
		flush bool
		clear bool
		news  int
	}{
		"new story":                               {nil, open(), stepPost, false, false, false, 0},
		"new story, only suspected":               {nil, open(status(tapio.StatusSuspected)), stepSilence, false, false, false, 0},
		"new story, part of another":              {nil, open(status(tapio.StatusAbsorbed)), stepSilence, false, false, false, 0},
		"new story, already over":                 {nil, open(status(tapio.StatusResolved)), stepPost, false, false, false, 0},
		"new story, over a day ago":               {nil, open(status(tapio.StatusResolved), justIn), stepPost, false, false, false, 0},
		"new story, over more than a day ago":     {nil, open(status(tapio.StatusResolved), longAgo), stepSilence, false, false, false, 0},
		"new story, there before us":              {nil, open(backlog), stepBacklog, false, false, false, 0},
		"new story, there before us and over":     {nil, open(backlog, status(tapio.StatusResolved)), stepSilence, false, false, false, 0},
		"same revision":                           {said(func(th *thread) { th.Revision = 2 }), open(), stepSilence, false, false, false, 0},
		"older revision":                          {said(func(th *thread) { th.Revision = 3 }), open(status(tapio.StatusResolved)), stepSilence, false, false, false, 0},
		"it grew":                                 {said(), open(), stepEdit, false, false, false, 1},
		"it grew before it was posted":            {said(unposted), open(), stepEdit, false, false, false, 1},
		"it got worse":                            {said(), open(critical), stepEditNow, true, true, false, 1},
		"it got worse before it was posted":       {said(unposted), open(critical), stepEditNow, false, true, false, 1},
		"it got worse while being posted":         {said(posting), open(critical), stepEditNow, true, true, false, 1},
		"it got better":                           {said(), open(low), stepEdit, false, false, false, 1},
		"back to suspected":                       {said(), open(status(tapio.StatusSuspected)), stepSilence, false, false, false, 0},
		"resolved":                                {said(), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1},
		"resolved before it was posted":           {said(unposted), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1},
		"resolved before it was posted, long ago": {said(unposted), open(status(tapio.StatusResolved), longAgo), stepDrop, false, false, false, 0},
		"resolved long ago but posted":            {said(), open(status(tapio.StatusResolved), longAgo), stepEditNow, false, true, false, 1},
		"more of a resolved story":                {said(was(tapio.StatusResolved)), open(status(tapio.StatusResolved)), stepEdit, false, false, false, 1},
		"came back":                               {said(was(tapio.StatusResolved)), open(), stepEditNow, true, true, true, 1},
		"came back before it was posted":          {said(unposted, was(tapio.StatusResolved)), open(), stepEditNow, false, true, true, 1},
		"on its own again":                        {said(was(tapio.StatusAbsorbed)), open(), stepEditNow, true, true, true, 1},
		"absorbed":                                {said(), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1},
		"absorbed after it was resolved":          {said(was(tapio.StatusResolved)), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1},
		"absorbed before it was posted":           {said(unposted), open(status(tapio.StatusAbsorbed)), stepDrop, false, false, false, 0},
		"absorbed while being posted":             {said(posting), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1},
		"absorbed twice":                          {said(was(tapio.StatusAbsorbed)), open(status(tapio.StatusAbsorbed)), stepEdit, false, false, false, 1},
		"of the summary: grew":                    {said(onBoard), open(), stepEdit, false, false, false, 1},
		"of the summary: resolved":                {said(onBoard), open(status(tapio.StatusResolved)), stepEditNow, false, true, false, 1},
		"of the summary: absorbed":                {said(onBoard), open(status(tapio.StatusAbsorbed)), stepEditNow, false, true, false, 1},
		"of the summary: worse":                   {said(onBoard), open(critical), stepPost, false, true, false, 1},
		"of the summary: came back":               {said(onBoard, was(tapio.StatusResolved)), open(), stepPost, false, true, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := decide(c.said, &c.story, now)
			if d.why == "" {
				t.Error("no reason given")
			}
			if d.step != c.step || d.loud != c.loud || d.flush != c.flush || d.clear != c.clear || len(d.news) != c.news {
				t.Errorf("got %q (%s) loud %v flush %v clear %v news %d,\nwant %q loud %v flush %v clear %v news %d",
					d.step, d.why, d.loud, d.flush, d.clear, len(d.news), c.step, c.loud, c.flush, c.clear, c.news)
			}
		})
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
