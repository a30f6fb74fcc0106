package controlplane

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const metricsPage = `# HELP apiserver_flowcontrol_rejected_requests_total [BETA] Number of requests rejected
# TYPE apiserver_flowcontrol_rejected_requests_total counter
apiserver_flowcontrol_rejected_requests_total{flow_schema="tight",priority_level="tight",reason="queue-full"} 600
apiserver_flowcontrol_rejected_requests_total{flow_schema="other",priority_level="low",reason="time-out"} 6
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",verb="GET"} 12345
# TYPE apiserver_admission_webhook_rejection_count counter
apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="policy.example.com",operation="CREATE",rejection_code="0",type="validating"} 9
apiserver_admission_webhook_rejection_count{error_type="no_error",name="policy.example.com",operation="CREATE",rejection_code="403",type="validating"} 400
# TYPE apiserver_admission_webhook_admission_duration_seconds histogram
apiserver_admission_webhook_admission_duration_seconds_bucket{name="policy.example.com",operation="CREATE",rejected="false",type="validate",le="+Inf"} 10
apiserver_admission_webhook_admission_duration_seconds_sum{name="policy.example.com",operation="CREATE",rejected="false",type="validate"} 25
apiserver_admission_webhook_admission_duration_seconds_count{name="policy.example.com",operation="CREATE",rejected="false",type="validate"} 10
`

func TestFamilies(t *testing.T) {
	f, err := families(strings.NewReader(metricsPage), familyRejected, familyFailed, familyCalls)
	if err != nil {
		t.Fatal(err)
	}
	if len(f) != 3 {
		t.Errorf("read %d families, want the three that were asked for", len(f))
	}
	rejected := counters(f[familyRejected], "priority_level", nil)
	if rejected["tight"] != 600 || rejected["low"] != 6 {
		t.Errorf("rejected: %v", rejected)
	}
	failed := counters(f[familyFailed], "name", func(l map[string]string) bool { return l["error_type"] == "calling_webhook_error" })
	if failed["policy.example.com"] != 9 {
		t.Errorf("failed calls: %v", failed)
	}
	last := scrapedAPI{at: noon, rejected: map[string]float64{}, failed: map[string]float64{}}
	next := scrapedAPI{at: noon.Add(time.Minute), rejected: rejected, failed: failed, calls: map[string]total{"policy.example.com": {25, 10}}}
	refused, failing := rates(last, next)
	if len(refused) != 1 || refused[0].message != "it refuses 10 requests a second (429), most of priority level tight" || len(failing) != 1 {
		t.Errorf("found %+v, %+v", refused, failing)
	}
	if got := slowest(last, next, time.Second); got != "calls of webhook policy.example.com take 2.5 s" {
		t.Errorf("slowest: %q", got)
	}
	next.rejected = map[string]float64{"tight": 30}
	if refused, _ := rates(last, next); refused != nil {
		t.Errorf("half a refusal a second is told: %+v", refused)
	}
}

func FuzzFamilies(f *testing.F) {
	f.Add(metricsPage)
	f.Add("# TYPE etcd_disk_wal_fsync_duration_seconds histogram\netcd_disk_wal_fsync_duration_seconds_sum NaN\n")
	f.Add("apiserver_flowcontrol_rejected_requests_total{")
	f.Fuzz(func(t *testing.T, page string) {
		got, err := families(strings.NewReader(page), familyRejected, familyFailed, familyCalls, familyFsync)
		if err == nil && len(got) > 4 {
			t.Errorf("%d families", len(got))
		}
		for _, x := range got {
			counters(x, "name", nil)
			histogram(x)
		}
	})
}

func TestFailedChecks(t *testing.T) {
	body := "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]etcd-readiness failed: reason withheld\nreadyz check failed\n"
	if got := failedChecks([]byte(body)); !slices.Equal(got, []string{"etcd", "etcd-readiness"}) {
		t.Errorf("got %q", got)
	}
}

func FuzzFailedChecks(f *testing.F) {
	f.Add([]byte("[-]etcd failed: reason withheld"))
	f.Add([]byte("[-] \n[-]\n[-]\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, name := range failedChecks(body) {
			if name == "" || len(name) > maxWords+len("…") {
				t.Errorf("check %q", name)
			}
		}
	})
}

func FuzzAlarm(f *testing.F) {
	f.Add("memberID:10501334649042878790 alarm:NOSPACE ")
	f.Add("etcdserver: no leader")
	f.Fuzz(func(t *testing.T, text string) { alarmOf(text) })
}

func TestAlarm(t *testing.T) {
	if alarm, id := alarmOf("memberID:10501334649042878790 alarm:NOSPACE "); alarm != "NOSPACE" || id != 10501334649042878790 {
		t.Errorf("got %s of %d", alarm, id)
	}
	if alarm, _ := alarmOf("etcdserver: no leader"); alarm != "" {
		t.Errorf("an alarm %q", alarm)
	}
}
