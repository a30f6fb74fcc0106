package exit

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/yairfalse/tapio/bpf/probetest"
)

// BenchmarkExit has a container's shell end b.N children by SIGKILL, each of
// which is told, and as many by themselves, which are counted.
func BenchmarkExit(b *testing.B) {
	probetest.Root(b)
	p, err := Open()
	probetest.Must(b, p, err)
	_, container := probetest.Pod(b)
	go func() {
		for { // what is told is read, as it is in use
			if _, err := p.Read(); err != nil {
				return
			}
		}
	}()
	probetest.Cost(b, map[string]*ebpf.Program{"sched_process_exit": p.objects.SchedProcessExit, "signal_generate": p.objects.SignalGenerate}, func() {
		if out, err := container.Shell(false, fmt.Sprintf(`bash -c 'for ((i=0;i<%d;i++)); do (exit 1); (kill -KILL $BASHPID) 2>/dev/null; done; true' 2>/dev/null`, b.N)).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	})
}
