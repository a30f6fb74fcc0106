package narrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/yairfalse/tapio"
)

// unsafeRune returns the index of the first character that a terminal obeys or
// hides, apart from newlines, or -1.
func unsafeRune(s string) int {
	return strings.IndexFunc(s, func(r rune) bool { return r != '\n' && (invisible(r) || unicode.In(r, unicode.Zl, unicode.Zp)) })
}

// hostileStory puts a text wherever a cluster can put one. Kubernetes bounds
// names, so there it is only the start of the text.
func hostileStory(template, long string, types []tapio.EventType) tapio.Story {
	text := long[:min(len(long), 253)]
	e := tapio.Entity{Kind: tapio.KindDeployment, Namespace: text, Name: text, Container: text}
	s := tapio.Story{
		ID: text, Revision: 1, Cluster: text, Status: tapio.StatusOpen, Severity: tapio.SeverityHigh, Template: template,
		Timestamp: noon, Opened: noon, Updated: at(60), Duration: time.Minute, Cause: tapio.Cause(text), CauseEntity: e,
		Standing: tapio.StandingLikely, Subject: e.Object(), AffectedPods: []string{text, text}, RelatedServices: []string{text},
		BusinessService: text, Checked: []string{text}, Owner: tapio.Owner{Team: text, Channel: text, Service: text, Runbook: "https://" + text},
		Scope:        tapio.Scope{PodsDown: 1, PodsWanted: 2, WorstDown: 1, Workloads: 1, ServicesDown: 1, WorstSvcDown: 1},
		Facts:        map[string]string{tapio.FactFailures: "3"},
		Gaps:         []tapio.Gap{{Resource: text, Reason: text, From: noon, To: at(30)}},
		Trigger:      &tapio.Trigger{Evidence: "e0", Type: tapio.WorkloadRollout, Entity: e.Object(), Time: at(-9), Manager: text, Revision: text, From: text, Changes: []tapio.Change{{Field: text, From: text, To: text}}},
		Hypotheses:   []tapio.Hypothesis{{Chosen: true, For: []string{"e0"}}},
		AbsorbedInto: text,
	}
	for _, k := range []string{tapio.FactWorkload, tapio.FactRef, tapio.FactNamespace, tapio.FactPodName, tapio.FactContainer, tapio.FactExitCode, tapio.FactSignal,
		tapio.FactReason, tapio.FactMessage, tapio.FactLastError, tapio.FactImage, tapio.FactRegistry, tapio.FactLimit, tapio.FactNodeName, tapio.FactServiceName,
		tapio.FactSelector, tapio.FactObject, tapio.FactKind, tapio.FactKey, tapio.FactResource, tapio.FactTaint, tapio.FactDetail, tapio.FactCondition} {
		s.Facts[k] = long
	}
	for i, typ := range types {
		s.Timeline = append(s.Timeline, tapio.StoryEvent{
			ID: "e" + string(rune('0'+i)), Timestamp: at(i), Type: typ, Role: tapio.RoleCause, Entity: e, Source: tapio.Source(text), Count: 2, Last: at(60),
			Data: map[string]any{"reason": text, "message": long, tapio.AttrManager: text, tapio.AttrRevision: text, tapio.AttrExitCode: text, tapio.AttrMemoryLimit: text,
				tapio.AttrImage: text, tapio.AttrNode: text, tapio.AttrLastError: text, tapio.AttrResource: text, tapio.AttrSelector: text,
				"changes": []tapio.Change{{Field: "containers[" + text + "].env[" + text + "]", From: long, To: long}}},
		})
	}
	s.Evidence = []tapio.Evidence{{ID: "e0", Time: noon, Source: tapio.Source(text), Type: tapio.EventType(text), Entity: e, Text: long}}
	for _, k := range []tapio.NewsKind{tapio.NewsOpened, tapio.NewsCause, tapio.NewsScope, tapio.NewsSeverity, tapio.NewsChange, tapio.NewsLog, tapio.NewsReopened, tapio.NewsAbsorbs, tapio.NewsGap, "other"} {
		s.News = append(s.News, tapio.News{Kind: k, Was: long, Now: long, Time: noon})
	}
	return s
}

func TestHostileText(t *testing.T) {
	n := narrator(t)
	for _, text := range append(hostile, strings.Repeat("\x1b[31m<`|", 10<<20/8)) {
		for _, template := range []string{"container-oom-limit", "service-selector-mismatch", "unheard-of"} {
			checkHostile(t, n, template, text, eventTypes)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	n := narrator(f)
	f.Fuzz(func(t *testing.T, text string) {
		checkHostile(t, n, "config-key-missing", text, eventTypes[:3])
	})
}

func checkHostile(t *testing.T, n *Narrator, template, text string, types []tapio.EventType) {
	t.Helper()
	s := hostileStory(template, text, types)
	if err := n.Tell(&s); err != nil {
		t.Fatalf("Tell: %v", err)
	}
	checkWords(t, &s)
	s.Status = tapio.StatusAbsorbed // so that every renderer shows AbsorbedInto too
	stories := []tapio.Story{s}

	var out bytes.Buffer
	if err := Text(&out, stories, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	checkText(t, out.String(), 80)

	out.Reset()
	if err := Markdown(&out, stories); err != nil {
		t.Fatal(err)
	}
	checkMarkdown(t, out.String())

	out.Reset()
	if err := JSON(&out, stories); err != nil {
		t.Fatal(err)
	}
	if bad := unsafeRune(out.String()); bad >= 0 {
		t.Errorf("JSON keeps %q", out.String()[bad:bad+4])
	}
	var back []tapio.Story
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || len(back) != 1 {
		t.Errorf("JSON does not read back: %v", err)
	}
}

// checkWords asserts that words are clean and bounded lines and that commands
// are made of safe words only.
func checkWords(t *testing.T, s *tapio.Story) {
	t.Helper()
	words := []string{s.Title, s.Intent, s.RootCause, s.Impact, s.Resolution, s.NextAction.Text}
	words = append(words, s.Recommendations...)
	for _, x := range s.Summary {
		words = append(words, x.Text)
	}
	for _, x := range s.Timeline {
		words = append(words, x.Description)
	}
	for _, x := range s.News {
		words = append(words, x.Text)
	}
	for _, w := range words {
		if unsafeRune(w) >= 0 || strings.Contains(w, "\n") || utf8.RuneCountInString(w) > maxSentence {
			t.Errorf("words are not one clean, bounded line: %q", w)
		}
	}
	for _, w := range strings.Fields(s.NextAction.Command) {
		if !safeWord.MatchString(w) {
			t.Errorf("command %q holds %q", s.NextAction.Command, w)
		}
	}
}

// safeWord matches a word of a command that no shell changes.
var safeWord = regexp.MustCompile(`^[A-Za-z0-9._:/@=+,-]+$`)

func checkText(t *testing.T, out string, width int) {
	t.Helper()
	if bad := unsafeRune(out); bad >= 0 {
		t.Errorf("text keeps %q", out[bad:])
	}
	for _, line := range strings.Split(out, "\n") {
		if columns(line) > width && !strings.Contains(line, "kubectl") && !strings.Contains(line, "http") {
			t.Errorf("line has %d columns, want at most %d: %q", columns(line), width, line)
		}
	}
	if len(out) > 200<<10 {
		t.Errorf("text has %d bytes", len(out))
	}
}

var (
	codeSpan = regexp.MustCompile("(?m)^   (`+).*`$")
	unpiped  = regexp.MustCompile(`(^|[^\\])\|`)
	tags     = regexp.MustCompile(`<[^!h]`)
)

func checkMarkdown(t *testing.T, out string) {
	t.Helper()
	if bad := unsafeRune(out); bad >= 0 {
		t.Errorf("Markdown keeps %q", out[bad:])
	}
	prose := codeSpan.ReplaceAllString(out, "")
	if m := tags.FindString(prose); m != "" {
		t.Errorf("Markdown holds HTML %q", m)
	}
	if strings.Contains(strings.ReplaceAll(prose, "```", ""), "`") && !strings.Contains(prose, "\\`") {
		t.Error("Markdown holds a bare backtick")
	}
	for _, line := range strings.Split(prose, "\n") {
		if !strings.HasPrefix(line, "|") {
			if strings.HasPrefix(line, "#") && !headings[strings.TrimSpace(strings.TrimLeft(line, "#"))] && !strings.HasPrefix(line, "# ") {
				t.Errorf("Markdown has a heading of the cluster's: %q", line)
			}
			continue
		}
		if n := len(unpiped.FindAllString(line, -1)); n != 3 && n != 4 {
			t.Errorf("table row has %d bars: %q", n, line)
		}
	}
	if len(out) > 300<<10 {
		t.Errorf("Markdown has %d bytes", len(out))
	}
}

var headings = map[string]bool{"What happened": true, "How it ended": true, "What to do next": true, "Timeline": true, "Evidence": true}

func TestLongStoryIsBounded(t *testing.T) {
	s := scenes()[0].story(t, library(t), false)
	for i := range 5000 {
		e := s.Timeline[1]
		e.Timestamp = at(i)
		s.Timeline = append(s.Timeline, e)
		s.Evidence = append(s.Evidence, tapio.Evidence{ID: "x" + e.Timestamp.String(), Time: e.Timestamp, Text: "again"})
		s.AffectedPods = append(s.AffectedPods, "shop/p")
	}
	if err := narrator(t).Tell(&s); err != nil {
		t.Fatal(err)
	}
	var text, markdown bytes.Buffer
	if err := errors.Join(Text(&text, []tapio.Story{s}, TextOptions{}), Markdown(&markdown, []tapio.Story{s})); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": text.String(), "Markdown": markdown.String()} {
		for _, want := range []string{"4944 lines left out", "more pieces of evidence", "and 4992 more"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
}

func TestColourOnlyWhenAsked(t *testing.T) {
	s := scenes()[0].story(t, library(t), false)
	if err := narrator(t).Tell(&s); err != nil {
		t.Fatal(err)
	}
	var plain, colour bytes.Buffer
	if err := errors.Join(Text(&plain, []tapio.Story{s}, TextOptions{}), Text(&colour, []tapio.Story{s}, TextOptions{Color: true})); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(colour.String(), "\x1b[31;1mSEV2 open\x1b[0m") {
		t.Error("colour is there unasked, or not where asked")
	}
	if got := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colour.String(), ""); got != plain.String() {
		t.Error("colour changes the layout")
	}
}

func TestEmptyAndFailingOutput(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("JSON of nothing = %q, %v; want an empty array", out.String(), err)
	}
	broken := errors.New("disk full")
	stories := []tapio.Story{{ID: "a"}}
	for name, err := range map[string]error{
		"text":     Text(failing{broken}, stories, TextOptions{}),
		"Markdown": Markdown(failing{broken}, stories),
		"JSON":     JSON(failing{broken}, stories),
	} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: error %v does not wrap the writer's", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
