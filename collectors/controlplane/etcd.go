package controlplane

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// probeKey is the key that is read to see whether etcd answers. It lies outside
// of what Kubernetes keeps and need not exist.
const probeKey = "tapio-health"

// etcd asks the members of etcd, each by a connection of its own.
type etcd struct {
	c       *Collector
	members []*member
	monitor *monitor
	http    *http.Client

	names  map[uint64]string // by member ID, as etcd lists them
	leader uint64            // the last one that was known
	led    []time.Time       // when it changed, within the window
}

// member is one endpoint.
type member struct {
	endpoint string
	client   *clientv3.Client

	id      uint64
	status  *clientv3.StatusResponse // nil: it did not answer
	failed  error                    // why
	took    time.Duration            // how long the status took
	read    time.Duration            // how long a linearizable read took
	readErr error                    // why it came to nothing
	scraped scrapedEtcd
	away    time.Time // when it last did not answer; zero: it always did
}

func newEtcd(c *Collector) (*etcd, error) {
	encryption, err := c.config.etcdTLS()
	if err != nil {
		return nil, fmt.Errorf("control plane: %w", err)
	}
	e := &etcd{
		c: c, names: map[uint64]string{},
		monitor: newMonitor(tapio.ComponentEtcd, tapio.EtcdHealthy, c.config.FailureThreshold),
		http:    &http.Client{Transport: counted{&http.Transport{TLSClientConfig: encryption}, "etcd", c.metrics.requests}},
	}
	count := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, conn, opts...)
		result := "ok"
		if err != nil {
			result = "error"
		}
		c.metrics.requests.WithLabelValues("etcd", method, result).Inc()
		return err
	}
	for _, endpoint := range c.config.EtcdEndpoints {
		var secure *tls.Config
		if strings.HasPrefix(endpoint, "https:") {
			secure = encryption
		}
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{endpoint}, TLS: secure, DialTimeout: time.Duration(c.config.EtcdTimeout),
			DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
			// One try a round: the next round is the retry.
			MaxUnaryRetries: 1, Logger: zap.NewNop(),
			DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(count)},
		})
		if err != nil {
			e.close()
			return nil, fmt.Errorf("control plane: make a client for etcd at %s: %w", endpoint, err)
		}
		e.members = append(e.members, &member{endpoint: endpoint, client: client})
	}
	return e, nil
}

func (e *etcd) close() {
	for _, m := range e.members {
		m.client.Close() // nothing is lost by a connection that can't be closed
	}
	e.http.CloseIdleConnections()
}

// poll asks one member who the members are: of those that answered lately, or
// of all where none was asked yet. One that does not answer is not waited for.
func (e *etcd) poll(ctx context.Context) {
	for _, m := range e.members {
		if len(e.names) > 0 && (m.status == nil || m.readErr != nil) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Duration(e.c.config.EtcdTimeout))
		list, err := m.client.MemberList(ctx)
		cancel()
		if err != nil {
			continue // without a leader nobody can tell; the names stay
		}
		clear(e.names)
		for _, x := range list.Members {
			e.names[x.ID] = x.Name
		}
		if total := len(list.Members); total > len(e.members) {
			e.c.lacks(fmt.Sprintf("etcd: it has %d members and etcd_endpoints names %d — the others are not seen", total, len(e.members)))
		}
		return
	}
}

// name returns the name of a member's component.
func (e *etcd) name(id uint64, m *member) string {
	name := e.names[id]
	if name == "" && m != nil {
		if u, err := url.Parse(m.endpoint); err == nil {
			name = u.Host
		}
	}
	if name == "" {
		name = fmt.Sprintf("%x", id)
	}
	if !strings.HasPrefix(name, "etcd") {
		name = "etcd-" + name
	}
	return clip(name)
}

// health asks all members at once and returns what to make of the answers.
func (e *etcd) health(ctx context.Context) func(time.Time) []tapio.Observation {
	var asked sync.WaitGroup
	for _, m := range e.members {
		asked.Go(func() { m.ask(ctx, time.Duration(e.c.config.EtcdTimeout)) })
	}
	asked.Wait()
	return e.judge
}

// ask asks one member for its status and for a linearizable read.
func (m *member) ask(ctx context.Context, limit time.Duration) {
	began := time.Now()
	status, err := func() (*clientv3.StatusResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return m.client.Status(ctx, m.endpoint)
	}()
	m.status, m.failed, m.took, m.read, m.readErr = nil, err, time.Since(began), 0, nil
	if err != nil {
		return
	}
	m.status, m.id = status, status.Header.GetMemberId()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began = time.Now()
	_, err = m.client.Get(ctx, probeKey, clientv3.WithCountOnly())
	m.read = time.Since(began)
	if err != nil && !errors.Is(err, rpctypes.ErrPermissionDenied) { // that is an answer too
		m.readErr = err
	}
}

// judge compares what was answered with the thresholds.
func (e *etcd) judge(now time.Time) []tapio.Observation {
	var up []*member
	var found []symptom
	for _, m := range e.members {
		if m.status != nil {
			up = append(up, m)
			continue
		}
		m.away = now
		found = append(found, symptom{
			typ: tapio.EtcdUnhealthy, severity: tapio.SeverityMedium, reason: "MemberDown", object: e.name(m.id, m),
			message: "it does not answer: " + words(m.failed),
		})
	}
	if len(up) == 0 {
		s := symptom{
			typ: tapio.EtcdUnhealthy, severity: tapio.SeverityCritical, reason: unreachable,
			message: fmt.Sprintf("none of %d members answers: %s", len(e.members), words(e.members[0].failed)),
		}
		return e.monitor.check(now, append(found, s), func(s *symptom) bool { return s.reason == unreachable })
	}
	led, readable := false, false
	for _, m := range up {
		led = led || m.status.Leader != 0
		readable = readable || m.readErr == nil
	}
	if !led && !readable {
		found = append(found, symptom{
			typ: tapio.EtcdUnhealthy, severity: tapio.SeverityCritical, reason: "NoLeader",
			message: fmt.Sprintf("%d of %d members %s, and no leader is known", len(up), len(e.members), plural(len(up), "answers", "answer")),
		})
	}
	found = append(found, e.latency(now, up, led)...)
	found = append(found, e.space(up)...)
	facts, changed := e.leaders(now, up)
	found = append(found, changed...)
	out := e.monitor.check(now, found, func(s *symptom) bool { return s.reason != slowDisk })
	return append(out, facts...)
}

// latency finds members whose reads are slow, or that lag behind.
func (e *etcd) latency(now time.Time, up []*member, led bool) []symptom {
	if !led {
		return nil // nobody can be fast
	}
	limit := time.Duration(e.c.config.EtcdLatencyThreshold)
	var slowOnes []*member
	slowReads, longest := 0, time.Duration(0)
	var newest uint64
	for _, m := range up {
		newest = max(newest, m.status.RaftIndex)
		longest = max(longest, m.read)
		if m.read > limit || m.readErr != nil {
			slowReads++
		}
		if m.took > limit || m.read > limit || m.readErr != nil {
			slowOnes = append(slowOnes, m)
		}
	}
	var out []symptom
	switch {
	case slowReads == len(up):
		out = append(out, symptom{
			typ: tapio.EtcdHighLatency, severity: tapio.SeverityHigh, reason: "Slow",
			message: fmt.Sprintf("a consistent read takes %d ms through %s", longest.Milliseconds(), through(len(up))),
			attrs:   map[string]string{tapio.AttrLatency: fmt.Sprint(longest.Milliseconds()), tapio.AttrDetail: e.disks(up)},
		})
		slowOnes = nil
	case len(slowOnes) == len(up): // all are slow to say how they are and read fast: it is the way there, or Tapio's own machine
		slowOnes = nil
	}
	for _, m := range slowOnes {
		if m.returning(now) {
			continue
		}
		message := fmt.Sprintf("it takes %d ms to answer", max(m.took, m.read).Milliseconds())
		if m.readErr != nil {
			message = "a consistent read through it: " + words(m.readErr)
		}
		out = append(out, symptom{
			typ: tapio.EtcdHighLatency, severity: tapio.SeverityMedium, reason: "MemberSlow", object: e.name(m.id, m), message: message,
			attrs: map[string]string{tapio.AttrLatency: fmt.Sprint(max(m.took, m.read).Milliseconds()), tapio.AttrDetail: m.scraped.disk},
		})
	}
	for _, m := range up {
		if lag := newest - min(newest, m.status.RaftAppliedIndex); lag > maxLag && !m.returning(now) {
			out = append(out, symptom{
				typ: tapio.EtcdHighLatency, severity: tapio.SeverityMedium, reason: "MemberLags", object: e.name(m.id, m),
				message: fmt.Sprintf("it is %d entries behind", lag), attrs: map[string]string{tapio.AttrDetail: m.scraped.disk},
			})
		}
	}
	return out
}

// returning reports whether the member was away a moment ago: that it has to
// catch up is no fault of its own.
func (m *member) returning(now time.Time) bool { return now.Sub(m.away) < catchUp }

const (
	// catchUp is how long a member that was away may take to follow the others.
	catchUp = time.Minute
	// maxLag is how many entries a member may be behind: the API server writes
	// some hundred a second in a large cluster, and etcd itself refuses requests
	// at 5,000.
	maxLag = 2000
	// nearlyFull is the part of its quota that a database may fill, in percent.
	nearlyFull = 90
	// leaderChanges within unstableWindow are told: three may be a restart of
	// three members, one after the other.
	leaderChanges = 4
)

// space finds raised alarms and databases that are nearly full. Their words
// come with each member's status, which costs no entry in the log of etcd as
// asking for the alarms would.
func (e *etcd) space(up []*member) []symptom {
	var out []symptom
	raised := map[string]bool{}
	for _, m := range up {
		size := fmt.Sprintf("%s, %s of it in use", bytesOf(m.status.DbSize), bytesOf(m.status.DbSizeInUse))
		if q := m.status.DbSizeQuota; q > 0 {
			size = fmt.Sprintf("%s of %s, %s of it in use", bytesOf(m.status.DbSize), bytesOf(q), bytesOf(m.status.DbSizeInUse))
		}
		for _, text := range m.status.Errors {
			alarm, id := alarmOf(text)
			if alarm == "" || raised[text] {
				continue
			}
			raised[text] = true
			s := symptom{severity: tapio.SeverityCritical, object: e.name(id, nil), need: 1, message: "alarm " + alarm + "; its database is " + size}
			switch alarm {
			case "NOSPACE":
				s.typ, s.reason = tapio.EtcdStorageFull, "NoSpace"
			case "CORRUPT":
				s.typ, s.reason, s.message = tapio.EtcdUnhealthy, "Corrupt", "alarm CORRUPT"
			default:
				continue
			}
			out = append(out, s)
		}
	}
	for _, m := range up {
		if q := m.status.DbSizeQuota; len(raised) == 0 && q > 0 && m.status.DbSize*100 >= q*nearlyFull {
			out = append(out, symptom{
				typ: tapio.EtcdStorageFull, severity: tapio.SeverityMedium, reason: "NearlyFull", object: e.name(m.id, m),
				message: fmt.Sprintf("its database is %s of %s, %s of it in use", bytesOf(m.status.DbSize), bytesOf(q), bytesOf(m.status.DbSizeInUse)),
			})
		}
	}
	return out
}

// alarmOf reads an alarm in a member's status: "memberID:123 alarm:NOSPACE ".
func alarmOf(text string) (alarm string, id uint64) {
	for field := range strings.FieldsSeq(text) {
		if v, ok := strings.CutPrefix(field, "alarm:"); ok {
			alarm = v
		}
		if v, ok := strings.CutPrefix(field, "memberID:"); ok {
			fmt.Sscan(v, &id) // what is no number names nobody
		}
	}
	return alarm, id
}

// leaders notes who leads: an election is a fact, many of them are a problem,
// unless the leader went away, which is told of the member.
func (e *etcd) leaders(now time.Time, up []*member) (facts []tapio.Observation, found []symptom) {
	var leader, term uint64
	for _, m := range up {
		if m.status.Leader != 0 && m.status.RaftTerm >= term {
			leader, term = m.status.Leader, m.status.RaftTerm
		}
	}
	if leader != 0 && e.leader != 0 && leader != e.leader {
		if slices.ContainsFunc(e.members, func(m *member) bool { return m.id == e.leader && m.status != nil && !m.returning(now) }) {
			e.led = append(e.led, now)
		}
		facts = append(facts, e.monitor.fact(now, symptom{
			typ: tapio.EtcdLeaderChanged, severity: tapio.SeverityInfo, reason: "Elected", object: e.name(leader, nil),
			message: fmt.Sprintf("%s leads now, in term %d; %s did before", e.name(leader, nil), term, e.name(e.leader, nil)),
		}))
	}
	e.leader = cmp.Or(leader, e.leader)
	for len(e.led) > 0 && now.Sub(e.led[0]) > unstableWindow {
		e.led = e.led[1:]
	}
	if n := len(e.led); n >= leaderChanges {
		found = append(found, symptom{
			typ: tapio.EtcdLeaderChanged, severity: tapio.SeverityHigh, reason: unstable, need: 1, at: e.led[0],
			message: fmt.Sprintf("its leader changed %d times in %d min", n, int(unstableWindow.Minutes())),
		})
	}
	return facts, found
}

// words says in a few words why a request to etcd failed.
func words(err error) string {
	switch s, ok := grpcstatus.FromError(err); {
	case errors.Is(err, context.DeadlineExceeded), ok && s.Code() == codes.DeadlineExceeded:
		return "no answer in time"
	case strings.Contains(err.Error(), "connection refused"):
		return "connection refused"
	case ok:
		return clip(s.Message())
	}
	return clip(err.Error())
}

// through words which members were read through.
func through(n int) string {
	if n == 1 {
		return "the only member that answers"
	}
	return fmt.Sprintf("each of %d members", n)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// bytesOf words an amount of memory.
func bytesOf(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
