package kernel

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/bpf/probetest"
)

// BenchmarkLoad runs a collector as a process of its own and measures what it
// costs: idle, and while a container's processes end and connections are made.
// Run it with -benchtime 1x; each half takes ten seconds.
func BenchmarkLoad(b *testing.B) {
	probetest.Root(b)
	if path := os.Getenv("TAPIO_TEST_LOAD"); path != "" {
		collect(b, path)
		return
	}
	_, container := probetest.Pod(b)
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkLoad$", "-test.benchtime=1x")
	cmd.Env = append(os.Environ(), "TAPIO_TEST_LOAD="+container.Path)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait() //nolint:errcheck // it ends with its input
	defer in.Close() //nolint:errcheck // that ends it
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.Fatalf("it said %q: %v", line, err)
	}
	const stretch = 10 * time.Second
	cost := func(name string, load func(until time.Time)) {
		busy, from := busy(b, cmd.Process.Pid), time.Now()
		load(from.Add(stretch))
		d := time.Since(from)
		b.ReportMetric(100*(busySince(b, cmd.Process.Pid, busy)).Seconds()/d.Seconds(), "%core-"+name)
	}
	cost("idle", func(until time.Time) { time.Sleep(time.Until(until)) })
	exits, connections := 0, 0
	cost("load", func(until time.Time) {
		ended := make(chan int)
		go func() { ended <- endProcesses(b, container, until) }()
		connections = connect(b, until)
		exits = <-ended
	})
	b.ReportMetric(float64(exits)/stretch.Seconds(), "exits/s")
	b.ReportMetric(float64(connections)/stretch.Seconds(), "connections/s")
	b.ReportMetric(rss(b, cmd.Process.Pid), "MiB-RSS")
	b.ReportMetric(0, "ns/op")
}

// collect is the process that is measured. It ends with its input.
func collect(b *testing.B, path string) {
	known := func(id string) (tapio.Entity, bool) { return pod, strings.Contains(path, id) }
	config := defaults()
	config.Interval = tapio.Duration(5 * time.Second) // as shipped
	c, err := New(Options{Config: config, Node: "n1", Log: slog.New(slog.DiscardHandler), Find: known})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // its end is the news
		cancel()
	}()
	go func() {
		for c.lacking.Load() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Fprintln(os.Stderr, "ready")
	}()
	if err := c.Run(ctx, func(tapio.Observation) {}); err != nil {
		b.Fatal(err)
	}
}

// endProcesses has a container's shell end some 1,000 children a second, every
// tenth by a signal, which is told, and returns how many.
func endProcesses(b *testing.B, c probetest.Cgroup, until time.Time) int {
	n := 0
	for pause := time.NewTicker(100 * time.Millisecond); time.Now().Before(until); <-pause.C {
		script := `bash -c 'for ((i=0;i<90;i++)); do (exit 1) & done; for ((i=0;i<10;i++)); do (kill -KILL $BASHPID) & done; wait' 2>/dev/null; true`
		if err := c.Shell(false, script).Run(); err != nil {
			b.Error(err)
			return n
		}
		n += 100
	}
	return n
}

// connect makes some 5,000 connections a second, every tenth refused.
func connect(b *testing.B, until time.Time) int {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close() // the other side is done
		}
	}()
	n, began := 0, time.Now()
	for pause := time.NewTicker(10 * time.Millisecond); time.Now().Before(until); <-pause.C {
		for i := range int(5000*time.Since(began).Seconds()) - n { // what a late tick missed is made up for
			address := l.Addr().String()
			if i%10 == 0 {
				address = "127.0.0.1:1"
			}
			n++
			c, err := net.Dial("tcp4", address)
			if err != nil {
				continue // refused
			}
			if err := c.(*net.TCPConn).SetLinger(0); err != nil {
				b.Error(err)
			}
			_ = c.Close() // with a reset: thousands in TIME_WAIT would use up the ports
		}
	}
	return n
}

// busy is the CPU time that a process has taken, to the hundredth of a second.
func busy(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

func busySince(b *testing.B, pid int, before time.Duration) time.Duration {
	return busy(b, pid) - before
}

// rss is what the process holds, in MiB.
func rss(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}
