package bot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yairfalse/tapio"
)

// maxHeadline is how long a headline may be, so that a phone shows it in two
// lines, characters.
const maxHeadline = 80

// maxPlain is how long one sentence may be for a tired reader, characters.
const maxPlain = 320

var (
	// quotation is what the cluster said, in its own words.
	quotation = regexp.MustCompile(`“[^”]*”`)
	// apiWords are words that the API invented and that plain ones exist for.
	apiWords = regexp.MustCompile(`\b(CrashLoopBackOff|ImagePullBackOff|ErrImagePull|CreateContainerConfigError|RunContainerError|CreateContainerError|OOMKilled|FailedMount|FailedAttachVolume|FailedScheduling|FailedCreate|FailedCreatePodSandBox|BackOff|Unhealthy|NodeNotReady|ProgressDeadlineExceeded|BackoffLimitExceeded|TooManyReplicas)\b`)
	// bareNumber is a number of bytes or nanoseconds, or a duration as Go prints it.
	bareNumber = regexp.MustCompile(`\b(\d{8,}|\d+h\d+m\d+s|\d+m\d+s|\d+ns)\b`)
	// utcTime is a time that is not written for the reader's zone.
	utcTime = regexp.MustCompile(`\d\d:\d\d UTC`)
)

// TestWordsOfEveryTemplate reads what narrate says of a story of every template
// as a tired person does, and what the bot makes of it. Each template has such
// a story: narrate's own tests see to that.
func TestWordsOfEveryTemplate(t *testing.T) {
	files, err := filepath.Glob("../narrate/testdata/golden/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d stories to read: %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var stories []tapio.Story
		if err := json.Unmarshal(b, &stories); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for i := range stories {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				readStory(t, &stories[i])
			})
		}
	}
}

func readStory(t *testing.T, s *tapio.Story) {
	if n := utf8.RuneCountInString(s.Title); n >= maxHeadline {
		t.Errorf("the headline has %d characters: %s", n, s.Title)
	}
	named := strings.Contains(s.Title, s.Subject.Name)
	for _, fact := range []string{tapio.FactObject, tapio.FactDetail} { // a certificate, a webhook
		named = named || s.Subject.Kind == tapio.KindComponent && s.Facts[fact] != "" && strings.Contains(s.Title, s.Facts[fact])
	}
	if !named && s.Scope.Workloads < 2 {
		t.Errorf("the headline does not say where: %s hurts, %q", s.Subject.Name, s.Title)
	}
	if w := apiWords.FindString(quotation.ReplaceAllString(s.Title, "")); w != "" {
		t.Errorf("the headline says %s: %s", w, s.Title)
	}
	if n := len(s.Summary); n < 1 || n > 4 {
		t.Errorf("the summary has %d sentences", n)
	}
	for i, sentence := range s.Summary {
		text := sentence.Text
		if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "”") {
			t.Errorf("no sentence: %q", text)
		}
		free := quotation.ReplaceAllString(text, "")
		if n := utf8.RuneCountInString(free); n > maxPlain {
			t.Errorf("a sentence of %d characters: %s", n, text)
		}
		if w := apiWords.FindString(free); w != "" && i < 2 && s.Standing != tapio.StandingUnknown {
			t.Errorf("a word of the API's, %s: %s", w, text)
		}
		if w := bareNumber.FindString(free); w != "" {
			t.Errorf("a number without its unit, %s: %s", w, text)
		}
	}
	m := (&scene{story: s}).root()
	check(t, &m)
	if !strings.HasSuffix(strings.TrimSpace(m.Text), ".") && !strings.HasSuffix(m.Text, "”") {
		t.Errorf("the text for phones is no sentence: %q", m.Text)
	}
	if s.Status != tapio.StatusOpen {
		return
	}
	for _, want := range append([]string{s.Title}, summaryTexts(s)...) {
		if !strings.Contains(m.Text, escape(want, budgetSentence)) {
			t.Errorf("the text for phones lacks %q", want)
		}
	}
	if strings.Contains(m.Text, "<!date") {
		t.Errorf("a date in the text, which not every client writes out: %q", m.Text)
	}
	b, err := m.payload()
	if err != nil {
		t.Fatal(err)
	}
	var blocks struct {
		Blocks []struct {
			Text struct{ Text string }
		}
	}
	if err := json.Unmarshal(b, &blocks); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks.Blocks {
		free := control.ReplaceAllString(quotation.ReplaceAllString(b.Text.Text, ""), "")
		if at := utcTime.FindString(free); at != "" {
			t.Errorf("%s is not in the reader's zone: %s", at, b.Text.Text)
		}
	}
}

func summaryTexts(s *tapio.Story) []string {
	var out []string
	for _, x := range s.Summary[:min(len(s.Summary), maxSummary)] {
		out = append(out, x.Text)
	}
	return out
}

func TestZoned(t *testing.T) {
	ref := at(0) // 2 Nov 2026, 14:02 UTC
	for in, want := range map[string]string{
		"since 14:02 UTC.":                  "since <!date^1793628120^{time}|14:02 UTC>.",
		"from 14:02 to 14:12 UTC":           "from <!date^1793628120^{time}|14:02 UTC> to <!date^1793628720^{time}|14:12 UTC>",
		"between 1 Nov 23:59 and 14:02 UTC": "between <!date^1793577540^{date_short_pretty} {time}|1 Nov 23:59 UTC> and <!date^1793628120^{time}|14:02 UTC>",
		"31 Dec 2025 23:59 UTC":             "<!date^1767225540^{date_short_pretty} {time}|31 Dec 23:59 UTC>",
		"it says “at 14:02 UTC” twice":      "it says “at 14:02 UTC” twice",
		"it says “14:02 UTC":                "it says “14:02 UTC",
		"99:99 UTC":                         "99:99 UTC",
		"no time":                           "no time",
	} {
		if got := zoned(in, ref); got != want {
			t.Errorf("zoned(%q)\n got %q\nwant %q", in, got, want)
		}
	}
	if got := strings.Count(zoned(strings.Repeat("14:02 UTC ", 500), ref), "<!date"); got != maxZoned {
		t.Errorf("%d dates of one text", got)
	}
}
