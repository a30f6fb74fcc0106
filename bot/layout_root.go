package bot

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/yairfalse/tapio"
)

// scene is everything that the root message of a story shows: the story, and
// what only the bot knows.
type scene struct {
	story      *tapio.Story
	ack        *ack
	muted      *mute     // what silences it
	reopened   time.Time // when it came back, zero where it didn't
	flaps      int       // how often it came back within an hour
	parent     titled    // of an absorbed story: what it is part of
	parentOver time.Time // when that was resolved, zero while it isn't
	follows    titled    // of a story that takes up an old one
	lost       string    // link to the root message that this one replaces; "gone" where it can't be linked
	meantFor   string    // channel that refused it, where this is not the one
	calls      string    // mrkdwn: who on call was called or will be
}

// titled is another story's message: a title, and its address where it is known.
type titled struct {
	title string
	link  string
}

func (t titled) mrkdwn() string {
	if t.title == "" {
		return ""
	}
	return link(t.link, escape(t.title, budgetTitle))
}

// unnamed names people without a mention: a new message would ping them, which
// the edits that bring a mention in don't.
func (sc *scene) unnamed() {
	if sc.ack != nil {
		sc.ack = &ack{Name: sc.ack.Name, At: sc.ack.At}
	}
	if sc.muted != nil {
		m := *sc.muted
		m.By.User = ""
		sc.muted = &m
	}
}

// root lays out the root message: the current truth of one story.
func (sc *scene) root() message {
	switch sc.story.Status {
	case tapio.StatusResolved:
		return sc.resolved()
	case tapio.StatusAbsorbed:
		return sc.absorbed()
	}
	return sc.open()
}

func (sc *scene) open() message {
	s := sc.story
	m := message{Color: colorFiring, Fallback: "firing, not acknowledged"}
	dot, state := ":red_circle:", "firing"
	if sc.ack != nil {
		m.Color, m.Fallback = colorAcked, "acknowledged"
		dot, state = ":large_yellow_circle:", "acknowledged"
	}
	if sc.muted != nil {
		m.Color, m.Fallback = colorAside, "muted"
		dot, state = ":no_bell:", "muted"
	}
	m.Text = sc.sentence(state)
	m.Blocks = append(m.Blocks, section(fmt.Sprintf("%s %s\n%s", dot, heading(s), summary(s))))
	m.Blocks = append(m.Blocks, fields(s)...)
	if list := decisive(s); list != nil {
		m.Blocks = append(m.Blocks, list)
	}
	if s.Standing == tapio.StandingUnknown && len(s.Checked) > 0 {
		m.Blocks = append(m.Blocks, contextLine("Cause unknown. Checked and ruled out: "+checked(s)))
	}
	m.Blocks = append(m.Blocks, nextAction(s)...)

	silence := button(actionMute, "Silence…", s.ID)
	if sc.muted != nil {
		silence = button(actionUnmute, "Unmute", sc.muted.ID)
	}
	first := button(actionAck, "Ack", s.ID)
	first.Style = slack.StylePrimary
	if sc.ack != nil {
		first = button(actionUnack, "Un-ack", s.ID)
	}
	m.Foot = []slack.Block{
		controls(sc.blockID(), more(s, moreSimilar, moreWhy, moreNote, moreWrong, moreRight),
			first, button(actionTimeline, "Show timeline", s.ID), runbook(s), silence),
		contextLine(sc.state(), sc.calls, sc.since(), gaps(s), sc.pointers(), reference(s)),
	}
	return m
}

// more is the menu of what else can be done about a story; nil where its ID is
// too long for one.
func more(s *tapio.Story, words ...string) *slack.OverflowBlockElement {
	labels := map[string]string{
		moreSimilar: "Similar stories", moreWhy: "Why this cause", moreNote: "Add a note…",
		moreWrong: "Wrong cause…", moreRight: "Right cause",
	}
	e := slack.NewOverflowBlockElement(actionMore)
	for _, w := range words {
		if value := w + " " + s.ID; len(value) <= maxOption {
			e.Options = append(e.Options, choice(value, labels[w]))
		}
	}
	if len(e.Options) == 0 {
		return nil
	}
	return e
}

// state is the first words of the context line.
func (sc *scene) state() string {
	switch {
	case sc.muted != nil:
		why := ""
		if sc.muted.Why != "" {
			why = ": " + escape(sc.muted.Why, budgetName)
		}
		return fmt.Sprintf(":no_bell: ~firing~ → muted until %s by %s%s", moment(sc.muted.Until, sc.story.Timestamp), sc.muted.By.mention(), why)
	case sc.ack != nil:
		return fmt.Sprintf(":eyes: ~firing~ → acked by %s %s", sc.ack.mention(), moment(sc.ack.At, sc.story.Timestamp))
	case !sc.reopened.IsZero():
		back := ":fire: came back " + moment(sc.reopened, sc.story.Timestamp)
		if sc.flaps >= flapAfter {
			back = fmt.Sprintf(":repeat: comes and goes: back for the %s time in an hour, last %s", ordinal(sc.flaps), moment(sc.reopened, sc.story.Timestamp))
		}
		return back + " · not acked"
	}
	return ":fire: firing · not acked"
}

// since says when it began rather than how long ago: a message that is not
// edited would soon be wrong about the latter.
func (sc *scene) since() string {
	return "since " + moment(sc.story.Timestamp, sc.story.Opened)
}

// pointers are the links to messages that came before this one.
func (sc *scene) pointers() string {
	var parts []string
	if f := sc.follows.mrkdwn(); f != "" {
		parts = append(parts, "follows "+f)
	}
	switch sc.lost {
	case "":
	case messageGone:
		parts = append(parts, "the first message of this story was deleted")
	default:
		parts = append(parts, "goes on from "+link(sc.lost, "an earlier message"))
	}
	if sc.meantFor != "" {
		parts = append(parts, "meant for "+escape(sc.meantFor, budgetName)+", where Tapio can't post")
	}
	return strings.Join(parts, " · ")
}

func (sc *scene) resolved() message {
	s := sc.story
	took := duration(s.Duration)
	m := message{
		Text:     fmt.Sprintf("Resolved after %s: %s%s.", took, escape(titleOf(s), budgetTitle), locality(s)),
		Color:    colorResolved,
		Fallback: "resolved",
	}
	lines := []string{fmt.Sprintf(":white_check_mark: %s — resolved in *%s*", bold(titleOf(s), budgetTitle), took)}
	for _, l := range [][2]string{{"Cause", strings.TrimSpace(s.RootCause + " " + beganAfter(s))}, {"Fix", untimed(s.Resolution)}} {
		if text := zoned(escape(l[1], budgetSentence), s.Updated); text != "" {
			lines = append(lines, "*"+l[0]+":* "+text)
		}
	}
	if w := worst(s); w != "" && s.Resolution == "" { // the resolution names it
		lines = append(lines, "*Worst:* "+w)
	}
	was := "firing"
	if sc.ack != nil {
		was = "acked by " + sc.ack.mention()
	}
	m.Blocks = []slack.Block{section(strings.Join(lines, "\n"))}
	m.Foot = []slack.Block{
		controls(sc.blockID(), more(s, moreSimilar, moreWhy, moreWrong, moreRight),
			button(actionTimeline, "Show timeline", s.ID), button(modalNote, "Add note…", s.ID), runbook(s)),
		contextLine(fmt.Sprintf(":white_check_mark: ~%s~ → resolved %s", was, moment(s.Resolved, s.Timestamp)), sc.flapped(),
			"began "+moment(s.Timestamp, s.Resolved), gaps(s), sc.pointers(), reference(s)),
	}
	return m
}

// untimed is a resolution without how long it was, which stands above it.
func untimed(resolution string) string {
	before, rest, ok := strings.Cut(resolution, "It lasted ")
	end := strings.IndexAny(rest, ";.")
	if !ok || end < 0 {
		return resolution
	}
	after := strings.TrimSpace(rest[end+1:])
	if rest[end] == ';' {
		after = capital(after)
	}
	return strings.TrimSpace(before + after)
}

// flapped says how often a story came back that may come back again.
func (sc *scene) flapped() string {
	if sc.flaps < flapAfter {
		return ""
	}
	return fmt.Sprintf(":repeat: it came back %d times in an hour", sc.flaps)
}

// beganAfter is the sentence of the summary that tells of the change before
// the story began, or "".
func beganAfter(s *tapio.Story) string {
	if s.Trigger != nil {
		for _, sentence := range s.Summary {
			if len(sentence.Evidence) == 1 && sentence.Evidence[0] == s.Trigger.Evidence {
				return sentence.Text
			}
		}
	}
	return ""
}

func (sc *scene) absorbed() message {
	s := sc.story
	part := sc.parent.mrkdwn()
	if part == "" {
		part = "another story"
	}
	ended := "part of " + part
	if !sc.parentOver.IsZero() {
		ended = ":white_check_mark: " + part + " is resolved, " + moment(sc.parentOver, s.Timestamp)
	}
	return message{
		Text:     fmt.Sprintf("%s is part of %s.", escape(titleOf(s), budgetTitle), part),
		Blocks:   []slack.Block{section(fmt.Sprintf(":link: %s — part of %s, which is where it is told from here on.", bold(titleOf(s), budgetTitle), part))},
		Color:    colorAside,
		Fallback: "part of another story",
		Foot: []slack.Block{
			actions(sc.blockID(), button(actionTimeline, "Show timeline", s.ID)),
			contextLine(ended, "since "+moment(s.Timestamp, s.Opened), reference(s)),
		},
	}
}

// sentence is the whole message for those who see or hear only one line.
func (sc *scene) sentence(state string) string {
	s := sc.story
	text := fmt.Sprintf("%s %s: %s%s.", s.SeverityName(), state, escape(titleOf(s), budgetTitle), locality(s))
	for _, more := range s.Summary[:min(len(s.Summary), maxSummary)] {
		text += " " + escape(more.Text, budgetSentence)
	}
	return text
}

// blockID is new with every revision, as Slack advises.
func (sc *scene) blockID() string {
	acked := ""
	if sc.ack != nil {
		acked = ":acked"
	}
	if sc.muted != nil {
		acked += ":muted"
	}
	return fmt.Sprintf("%s:r%d%s", sc.story.ID, sc.story.Revision, acked)
}

// titleOf is the story's title, or its ID where it has none.
func titleOf(s *tapio.Story) string {
	return cmp.Or(clean(s.Title, budgetTitle, false), "Story "+s.ID)
}

func heading(s *tapio.Story) string {
	return bold(s.SeverityName()+" · "+titleOf(s), budgetTitle+10)
}

func summary(s *tapio.Story) string {
	var out []string
	for _, sentence := range s.Summary[:min(len(s.Summary), maxSummary)] {
		if text := zoned(escape(sentence.Text, budgetSentence), s.Updated); text != "" {
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

func fields(s *tapio.Story) []slack.Block {
	seen := ""
	if n := len(s.SimilarIncidents); n == 1 {
		seen = "once before"
	} else if n > 1 {
		seen = fmt.Sprintf("%d times before", n)
	}
	owner := escape(s.Owner.Team, budgetName)
	if service := escape(s.Owner.Service, budgetName); service != "" {
		owner = strings.TrimPrefix(owner+" · service "+service, " · ")
	}
	return sectionFields([2]string{"Impact", zoned(escape(s.Impact, budgetSentence), s.Updated)}, [2]string{"Where", where(s)}, [2]string{"Owner", owner}, [2]string{"Seen", seen})
}

// where names cluster, namespace and object.
func where(s *tapio.Story) string {
	var out []string
	for _, part := range []string{s.Cluster, s.Subject.Namespace, s.Subject.Kind.Kubectl() + "/" + s.Subject.Name} {
		if c := code(part, budgetPlace); c != "" {
			out = append(out, c)
		}
	}
	return strings.Join(out, " / ")
}

// locality is where the story happens, for a sentence.
func locality(s *tapio.Story) string {
	at := strings.Trim(escape(s.Cluster, budgetName)+"/"+escape(s.Subject.Namespace, budgetName), "/")
	if at == "" {
		return ""
	}
	return " in " + at
}

// decisive lists the timeline lines that decide, the cause in bold.
func decisive(s *tapio.Story) slack.Block {
	var items [][]slack.RichTextSectionElement
	marked := false
	for i := range s.Timeline {
		e := &s.Timeline[i]
		if !e.Decisive || len(items) == 3 {
			continue
		}
		pieces := []slack.RichTextSectionElement{momentPiece(e.Timestamp, s.Timestamp), textPiece(" ")}
		words := literal(e.Description, budgetLine)
		if words == "" {
			words = literal(string(e.Type), budgetLine)
		}
		switch {
		case e.Role == tapio.RoleCause && !marked:
			marked = true
			pieces = append(pieces, zonedPieces(words+"  ← "+causeMark(s.Standing), s.Timestamp, &slack.RichTextSectionTextStyle{Bold: true})...)
		case e.Role == tapio.RoleTrigger:
			pieces = append(append(pieces, zonedPieces(words, s.Timestamp, nil)...), italicPiece("  ← change before it began"))
		default:
			pieces = append(pieces, zonedPieces(words, s.Timestamp, nil)...)
		}
		items = append(items, pieces)
	}
	if len(items) == 0 {
		return nil
	}
	return bullets(items...)
}

func causeMark(st tapio.Standing) string {
	switch st {
	case tapio.StandingCertain:
		return "cause"
	case tapio.StandingLikely:
		return "likely cause"
	}
	return "possible cause"
}

func checked(s *tapio.Story) string {
	var out []string
	for _, c := range s.Checked[:min(len(s.Checked), 8)] {
		if text := escape(strings.TrimRight(c, ". "), budgetLine); text != "" {
			out = append(out, text)
		}
	}
	if more := len(s.Checked) - 8; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, " · ")
}

// runbook is the button to the first runbook that is a web page, or nil.
func runbook(s *tapio.Story) *slack.ButtonBlockElement {
	for _, l := range append([]string{s.Owner.Runbook}, s.RunbookLinks...) {
		if b := linkButton(actionRunbook, "Runbook", s.ID, l); b != nil {
			return b
		}
	}
	return nil
}

// gaps says that something may have been missed, and when last.
func gaps(s *tapio.Story) string {
	if len(s.Gaps) == 0 {
		return ""
	}
	g := s.Gaps[len(s.Gaps)-1]
	return fmt.Sprintf(":warning: events may be missing from %s to %s", moment(g.From, s.Timestamp), moment(g.To, s.Timestamp))
}

func worst(s *tapio.Story) string {
	switch {
	case s.Scope.WorstDown > 0 && s.Scope.PodsWanted >= s.Scope.WorstDown:
		return fmt.Sprintf("%d of %d pods down", s.Scope.WorstDown, s.Scope.PodsWanted)
	case s.Scope.WorstDown > 0:
		return fmt.Sprintf("%d pods down", s.Scope.WorstDown)
	}
	return ""
}

func reference(s *tapio.Story) string {
	return fmt.Sprintf("`%s` rev %d", escape(s.ID, budgetName), s.Revision)
}

// clock writes a time of day, with the date where it is not that of near.
func clock(t, near time.Time) string {
	t, near = t.UTC(), near.UTC()
	if t.IsZero() {
		return "?"
	}
	if t.YearDay() != near.YearDay() || t.Year() != near.Year() {
		return t.Format("2 Jan 15:04 UTC")
	}
	return t.Format("15:04 UTC")
}

// duration writes how long something took, rounded to what a person would say,
// as the sentences of a story do.
func duration(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	hours := int(d.Round(time.Hour) / time.Hour)
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Round(time.Second)/time.Second))
	case d < time.Hour-30*time.Second:
		return fmt.Sprintf("%d min", minutes)
	case d < 24*time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", minutes/60, minutes%60), " 0 min")
	}
	return strings.TrimSuffix(fmt.Sprintf("%d d %d h", hours/24, hours%24), " 0 h")
}
