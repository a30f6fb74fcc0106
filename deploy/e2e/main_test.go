//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// options are the flags of the tests.
type options struct {
	kubeconfig string
	image      string
	kills      int
	churn      time.Duration
	seed       uint64
	out        string
	cluster    string
	keep       bool
	atOnce     int
	corpus     string
	variant    string // those of the corpus that are recorded, separated by commas; empty for all
	faults     bool
}

// bed is where the tests run: the cluster and the program under test.
type bed struct {
	options
	kubeconfig string            // of the cluster
	tapio      string            // the executable
	testbed    string            // folder of the test cluster's scripts
	path       string            // PATH with kubectl and cluster
	nodes      map[string]string // role → node; empty on a cluster that isn't ours
	etcd       []string          // URLs of the members; empty on a cluster that isn't ours
	lock       *os.File          // held while our cluster is up
}

// shared is what TestMain made for the tests.
var shared *bed

func TestMain(m *testing.M) {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "use the cluster of this kubeconfig and not one of our own; workloads in new namespaces of it are broken")
	flag.StringVar(&o.image, "image", busybox, "image with busybox that the cluster of -kubeconfig can pull")
	flag.IntVar(&o.kills, "kills", 3, "how often TestKill kills tapio")
	flag.DurationVar(&o.churn, "churn", 90*time.Second, "how long TestChurn goes on")
	flag.Uint64Var(&o.seed, "seed", 0, "of TestKill's instants; 0 takes one from the clock")
	flag.StringVar(&o.out, "out", "../../out", "folder for reports, recordings and logs")
	flag.StringVar(&o.cluster, "cluster", "e2e", "name of our own cluster; another name, with another -out, lets two runs go on at once")
	flag.BoolVar(&o.keep, "keep", false, "leave the test cluster up, and use the one that was left up")
	flag.IntVar(&o.atOnce, "at-once", 16, "how many scenarios are played at once")
	flag.StringVar(&o.variant, "variant", "", "the variants that TestCorpus records, separated by commas; without it, all, and the healthy cases")
	flag.StringVar(&o.corpus, "corpus", "", "folder that TestCorpus writes labelled cases to; without it, it does nothing")
	flag.BoolVar(&o.faults, "faults", false, "bring up three members of etcd, and play the faults of the control plane in TestControlPlane")
	flag.Parse()
	// The scenarios wait for the cluster more than they work, and say
	// themselves how many are played at once.
	if err := flag.Set("test.parallel", "1000"); err != nil {
		panic(err)
	}
	os.Exit(runAll(m, o))
}

func runAll(m *testing.M, o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := prepare(ctx, o)
	if b != nil {
		defer b.down()
		// A test that hangs must not keep the cluster when a person gives up.
		over := make(chan struct{})
		defer close(over) // before stop, which ends ctx too
		go func() {
			select {
			case <-over:
			case <-ctx.Done():
			}
			select {
			case <-over:
			default:
				b.down()
				os.Exit(130)
			}
		}()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	shared = b
	defer sayFailures()
	return m.Run()
}

// prepare builds the program and brings up the cluster. The bed is returned
// with an error too where there is something to take down.
func prepare(ctx context.Context, o options) (*bed, error) {
	b := &bed{options: o, nodes: map[string]string{}}
	var err error
	if b.testbed, err = filepath.Abs("../testbed"); err != nil {
		return nil, err
	}
	if b.out, err = filepath.Abs(o.out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return nil, err
	}
	b.tapio = filepath.Join(b.out, "tapio-e2e")
	say("building tapio")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.tapio, "../../cmd/tapio")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build tapio: %w\n%s", err, text)
	}
	if o.kubeconfig != "" {
		if b.kubeconfig, err = filepath.Abs(o.kubeconfig); err != nil {
			return nil, err
		}
		b.path = os.Getenv("PATH")
		if text, err := b.script(ctx, "", nil, "kubectl version"); err != nil {
			return nil, fmt.Errorf("reach the cluster of %s: %w\n%s", o.kubeconfig, err, text)
		}
		return b, nil
	}
	return b, b.up(ctx)
}

// up brings up our own cluster, on which nothing is running yet.
func (b *bed) up(ctx context.Context) error {
	bin := os.Getenv("TESTBED_BIN")
	if bin == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		bin = filepath.Join(cache, "tapio", "testbed")
	}
	b.path = bin + ":" + b.testbed + ":" + os.Getenv("PATH")
	// The nodes beside node-1, where workloads prefer to run.
	b.nodes = map[string]string{
		"stop":  "node-2", // its kubelet is killed
		"small": "node-3", // has little memory and disk
		"taint": "node-4", // is tainted, and drained; takes few pods
		"power": "node-5", // loses its power, and its container runtime
	}
	b.kubeconfig = filepath.Join("/var/tmp/testbed", b.cluster, "admin.kubeconfig")
	// Two runs at once would take each other's cluster down. The lock goes with
	// the process.
	lock, err := os.Create(filepath.Join(os.TempDir(), "tapio-"+b.cluster+".lock"))
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		b.kubeconfig = "" // nothing of ours to take down
		return fmt.Errorf("another run of these tests has the test cluster: wait for it to end (%s: %w)", lock.Name(), err)
	}
	b.lock = lock
	began := time.Now()
	if o := b.options; o.keep {
		if _, err := b.script(ctx, "", nil, "kubectl --request-timeout 5s get nodes"); err == nil {
			say("using the test cluster that is up")
			return b.findEtcd()
		}
	}
	say("starting the test cluster")
	members := "1"
	if b.faults {
		members = "3"
	}
	// The taints keep the other nodes empty and, as they only prefer, don't
	// show in what the scheduler says.
	text, err := b.script(ctx, "", []string{"MEMBERS=" + members}, `
cluster down
TESTBED_ETCD_MEMBERS=$MEMBERS cluster up 2
TESTBED_NODE_MEMORY_MB=1024 TESTBED_NODE_DISK_MB=900 cluster node start node-3
TESTBED_NODE_PODS=10 cluster node start node-4
cluster node start node-5
for node in node-2 node-3 node-4 node-5; do
  kubectl wait --for create --timeout 60s node $node
  kubectl taint node $node tapio-e2e=reserved:PreferNoSchedule
done
kubectl wait --for condition=Ready --timeout 60s node --all
until [[ -z $(kubectl get nodes -o jsonpath='{.items[*].spec.taints[?(@.effect=="NoSchedule")].key}') ]]; do sleep 0.5; done`)
	if err != nil {
		return fmt.Errorf("bring up the test cluster: %w\n%s", err, text)
	}
	say("the test cluster is up after %.0f s", time.Since(began).Seconds())
	return b.findEtcd()
}

// findEtcd reads where the members of etcd can be reached.
func (b *bed) findEtcd() error {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(b.kubeconfig), "etcd*-address"))
	if err != nil {
		return err
	}
	for _, f := range files {
		address, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		b.etcd = append(b.etcd, "http://"+strings.TrimSpace(string(address)))
	}
	return nil
}

// down takes our own cluster down.
func (b *bed) down() {
	if b.options.kubeconfig != "" || b.kubeconfig == "" || b.keep {
		return
	}
	if text, err := b.script(context.Background(), "", nil, "cluster down"); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: take down the test cluster: %v\n%s", err, text)
	}
}

// say prints a line of progress.
func say(format string, args ...any) {
	fmt.Printf("e2e: "+format+"\n", args...)
}
