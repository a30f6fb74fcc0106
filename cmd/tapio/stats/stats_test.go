package stats_test

import (
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/stats"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func story(cause tapio.Cause, status tapio.Status, opened, resolved time.Duration) tapio.Story {
	return tapio.Story{Cause: cause, Status: status, Timestamp: start, Opened: start.Add(opened), Updated: start.Add(opened), Resolved: start.Add(resolved), Revision: 1}
}

func TestCount(t *testing.T) {
	first, known := story(tapio.CauseUnknown, tapio.StatusOpen, 10*time.Second, 0), story(tapio.CauseOOMLimit, tapio.StatusResolved, 10*time.Second, time.Minute)
	known.Updated = start.Add(40 * time.Second)
	backlog := story(tapio.CauseUnknown, tapio.StatusOpen, 9*time.Hour, 0)
	backlog.Backlog = true
	all := []stats.Told{
		{Story: known, Revisions: []tapio.Revision{{Story: first}, {Story: known}}, Notes: []tapio.Note{{Kind: tapio.NoteAck}},
			Feedback: []tapio.Feedback{{Told: tapio.CauseOOMLimit, Standing: tapio.StandingCertain, Good: true}}},
		{Story: story(tapio.CauseTaint, tapio.StatusResolved, 20*time.Second, time.Hour), Notes: []tapio.Note{{Kind: tapio.NoteMute}},
			Feedback: []tapio.Feedback{{Told: tapio.CauseTaint, Standing: tapio.StandingLikely}, {Told: tapio.CauseTaint, Standing: tapio.StandingLikely}, {Told: tapio.CauseTaint, Standing: tapio.StandingLikely, Good: true}}},
		{Story: story(tapio.CauseTaint, tapio.StatusAbsorbed, 30*time.Second, 0)},
		{Story: backlog},
	}
	s := stats.Count(start.Add(-48*time.Hour), start, all)
	if s.Stories != 4 || s.Open != 1 || s.Resolved != 2 || s.Absorbed != 1 || s.Unknown != 1 || s.Brief != 1 || s.Acked != 1 || s.Muted != 1 || s.PerDay != 1.5 {
		t.Errorf("%+v", s)
	}
	if s.Accuracy == nil || *s.Accuracy != 0.5 || s.Standing[tapio.StandingLikely] != (stats.Verdicts{Right: 1, Wrong: 2}) {
		t.Errorf("%+v", s)
	}
	if s.ToStory.Count != 3 || s.ToStory.Median != 20*time.Second || s.ToStory.Most != 30*time.Second {
		t.Errorf("%+v", s.ToStory)
	}
	if s.ToCause.Count != 1 || s.ToCause.Median != 40*time.Second {
		t.Errorf("%+v", s.ToCause)
	}
	var out strings.Builder
	if err := s.Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.5 a day", "2 of 4", "50 %", "sched.taint", "wrong 2 times", "until the cause was known", "40s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

func TestNothing(t *testing.T) {
	s := stats.Count(start, start, nil)
	var out strings.Builder
	if err := s.Text(&out); err != nil || s.Accuracy != nil || !strings.Contains(out.String(), "nobody said anything yet") {
		t.Errorf("%v %s", err, out.String())
	}
}
