package bot

import "time"

// Limits of Slack on what a message holds, in characters unless said
// otherwise (docs.slack.dev/reference/block-kit/blocks and
// /block-elements; docs.slack.dev/reference/methods/chat.postMessage). A
// character is counted as one UTF-16 unit, which is never less than what
// Slack counts.
const (
	maxText        = 4000 // top-level text: chat.update answers msg_too_long above it
	maxBlocks      = 50   // blocks of a message
	maxSection     = 3000 // text of a section
	maxField       = 2000 // text of one field of a section
	maxContextText = 3000 // text of one element of a context
	maxActions     = 25   // elements of an actions block
	maxButtonText  = 75   // label of a button; about 30 show
	maxButtonValue = 2000 // value of a button
	maxURL         = 3000 // URL of a button
	maxID          = 255  // block_id and action_id
	maxOption      = 75   // label and value of an option
	maxOptions     = 100  // options of a menu
	maxPlaceholder = 150  // of a field of a modal
	maxViewTitle   = 24   // title, submit and close of a modal
	maxViewBlocks  = 100  // blocks of a modal or the App Home
	maxMetadata    = 3000 // private_metadata of a view
)

// Budgets of our own: what one piece of a story may take of a message, so
// that the pieces together stay within the limits above and a person can
// still read them. In characters after escaping.
const (
	budgetTitle     = 150
	budgetSentence  = 700  // one sentence of summary, cause, impact, news
	budgetName      = 120  // a namespace, a team, an object
	budgetNote      = 1500 // what a person writes into a modal
	budgetPlace     = 80   // a part of where it happens, five of which share a section with titles
	budgetLink      = 300  // an address that Slack gave us
	budgetLine      = 280  // one line of a timeline or a list
	budgetEvidence  = 400  // raw words under a timeline line
	budgetCommand   = 1000 // a command to paste
	budgetLogLine   = 300  // one line of a log
	budgetLog       = 2400 // all lines of a log in one reply
	maxSummary      = 3    // sentences of the summary
	maxLogLines     = 10   // lines of a log in one reply
	maxFacts        = 8    // facts that one reply tells in full
	maxWaiting      = 30   // facts that wait for one thread, so that its ledger entry stays below 512 KiB
	maxTimeline     = 40   // timeline lines of the full timeline
	timelineHead    = 10   // of them, how many are the oldest when some are left out
	timelinePerPart = 10   // timeline lines of one rich text block
	maxListed       = 20   // stories of a list or a summary
	maxCandidates   = 10   // names offered as buttons
	rollingAfter    = 20   // replies of a thread before one reply is edited instead
	rollingLines    = 12   // lines that the edited reply keeps
)

// Rates and waits.
const (
	// postEvery is Slack's pace of chat.postMessage: about one a second and
	// channel (docs.slack.dev/apis/web-api/rate-limits).
	postEvery = time.Second
	// postsPerMinute is its pace for a whole workspace: "several hundred a
	// minute" (docs.slack.dev/apis/web-api/rate-limits). Half of what the
	// smallest reading of that allows leaves room for answers to people.
	postsPerMinute = 240
	// editsPerMinute is the tier of chat.update, for app and workspace.
	editsPerMinute = 50
	// defaultRetryAfter is waited out when Slack limits the rate and doesn't
	// say for how long.
	defaultRetryAfter = 10 * time.Second
	// maxRetryAfter bounds what Slack may say: it names seconds to minutes, and
	// a proxy that names days must not silence us.
	maxRetryAfter = time.Hour
	// callTimeout bounds one call of the Web API.
	callTimeout = 15 * time.Second
	// grace is waited after an unknown outcome before history is searched, so
	// that a message which Slack is still taking in is seen.
	grace = 3 * time.Second
	// maxBackoff bounds the wait between tries of a call that keeps failing.
	maxBackoff = time.Minute
	// parkFor is how long a channel that refused us is left alone.
	parkFor = 10 * time.Minute
	// parkDefaultFor is the same for the default channel, which has no other
	// channel to turn to.
	parkDefaultFor = 30 * time.Second
	// probeEvery is how often a refused token is tried again.
	probeEvery = 30 * time.Second
	// stopGrace is how long Run waits for calls under way when it is told to stop.
	stopGrace = 5 * time.Second
	// searchBack is how far before the intent history is searched: it covers
	// clocks that differ from Slack's.
	searchBack = 5 * time.Minute
	// searchPages bounds a search of history, 200 messages a page.
	searchPages = 10
	// tellWithin is how long ago a story may have ended and still be told
	// for the first time.
	tellWithin = 24 * time.Hour
	// parentWait is how long an absorbed story waits for the message of the
	// one it is part of, to link it.
	parentWait = time.Minute
	// backlogOpen is how long a summary of failures that were already there
	// takes up more of them.
	backlogOpen = time.Hour
	// keepThreads is how long the ledger remembers a thread that ended.
	keepThreads = 30 * 24 * time.Hour
)
