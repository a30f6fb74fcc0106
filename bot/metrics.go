package bot

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers that the bot reports.
type metrics struct {
	posts    *prometheus.CounterVec // by kind: root, reply, notice, backlog
	edits    *prometheus.CounterVec // by kind: root, reply, backlog
	decided  *prometheus.CounterVec // by step and why
	retries  *prometheus.CounterVec // by Slack's error name
	found    prometheus.Counter
	plain    prometheus.Counter
	dropped  *prometheus.CounterVec // by what: news, answer, request
	commands *prometheus.CounterVec // by command
	acts     *prometheus.CounterVec // by kind of note
	feedback *prometheus.CounterVec // by verdict and standing
	calls    *prometheus.CounterVec // by duty and outcome
	parked   prometheus.Gauge
	depth    prometheus.Gauge
	latency  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tapio_bot_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		posts:    counter("posts_total", "Messages posted.", "kind"),
		edits:    counter("edits_total", "Messages edited.", "kind"),
		decided:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tapio_bot_decisions_total", Help: "What new revisions of stories led to, and why."}, []string{"step", "why"}),
		retries:  counter("retries_total", "Calls of Slack that will be made again, by the reason.", "error"),
		found:    prometheus.NewCounter(prometheus.CounterOpts{Name: "tapio_bot_reconciled_total", Help: "Messages whose call had an unknown outcome and that were found in Slack."}),
		plain:    prometheus.NewCounter(prometheus.CounterOpts{Name: "tapio_bot_plain_total", Help: "Messages that were sent as plain text because Slack refused their blocks."}),
		dropped:  counter("dropped_total", "What was given up: news that Slack keeps refusing, answers and requests that came too fast.", "what"),
		commands: counter("commands_total", "Slash commands answered.", "command"),
		acts:     counter("acts_total", "What people did about stories: acknowledged, noted, muted, said of a cause.", "kind"),
		feedback: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tapio_bot_feedback_total", Help: "Causes that people called right or wrong, by the standing that they were told with."}, []string{"verdict", "standing"}),
		calls:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tapio_bot_calls_total", Help: "Calls of people on call because nobody acknowledged a story, by their duty and whether Slack took the direct message."}, []string{"duty", "outcome"}),
		parked:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "tapio_bot_parked_channels", Help: "Channels that refuse the bot."}),
		depth:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "tapio_bot_outbox_depth", Help: "Messages, edits and news that wait to be said."}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tapio_bot_signal_to_post_seconds",
			Help:    "Time from the making of a revision to the root message that tells it.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800},
		}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.posts, m.edits, m.decided, m.retries, m.found, m.plain, m.dropped, m.commands, m.acts, m.feedback, m.calls, m.parked, m.depth, m.latency} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
