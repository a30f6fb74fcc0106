package tapio

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Feedback is what a person says about the cause that a story told.
type Feedback struct {
	Story    string    `json:"story"`
	Time     time.Time `json:"time"`
	By       string    `json:"by"` // the name as Slack has it
	User     string    `json:"user,omitempty"`
	Revision int       `json:"revision"` // what the person saw
	Told     Cause     `json:"told"`
	Standing Standing  `json:"standing"`
	Template string    `json:"template"`
	Good     bool      `json:"good"`            // the cause was right
	Right    Cause     `json:"right,omitempty"` // the right one; "other" where no code fits
	Entity   Entity    `json:"entity,omitzero"` // the object at fault, where it was said
	Text     string    `json:"text,omitempty"`  // in the person's words
}

// feedbackPrefix begins the keys of feedback in the ledger.
const feedbackPrefix = "feedback/"

// FeedbackKey is the prefix of the feedback on a story; "" is that on all.
func FeedbackKey(story string) string {
	if story == "" {
		return feedbackPrefix
	}
	return feedbackPrefix + story + "/"
}

type feedbackRecord struct {
	Version int `json:"v"`
	Feedback
}

const feedbackVersion = 1

// Record is how the ledger keeps it: the last word of each person counts.
func (f *Feedback) Record() Record {
	value, err := json.Marshal(feedbackRecord{feedbackVersion, *f})
	if err != nil {
		panic(fmt.Sprintf("feedback on story %s: %v", f.Story, err)) // plain data can always be encoded
	}
	who := strings.ReplaceAll(f.User, "/", "_")
	if who == "" {
		who = "somebody"
	}
	return Record{Key: FeedbackKey(f.Story) + who, Value: value}
}

// DecodeFeedback reads the value of a record of feedback.
func DecodeFeedback(r Record) (Feedback, error) {
	var v feedbackRecord
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return Feedback{}, fmt.Errorf("ledger entry %s: %w", r.Key, err)
	}
	if v.Version != feedbackVersion {
		return Feedback{}, fmt.Errorf("ledger entry %s has version %d; this Tapio reads version %d", r.Key, v.Version, feedbackVersion)
	}
	return v.Feedback, nil
}

// ParseEntity reads what a person writes for an object: Kind/namespace/name or
// Kind/name, the kind as Kubernetes or kubectl spells it. A kind that is
// unknown is taken as it stands.
func ParseEntity(s string) (Entity, error) {
	parts := strings.Split(strings.Trim(strings.TrimSpace(s), "`'\""), "/")
	if len(parts) < 2 || len(parts) > 3 || strings.Join(parts, "") == "" {
		return Entity{}, fmt.Errorf("%q is neither Kind/name nor Kind/namespace/name, such as ConfigMap/shop/cache", s)
	}
	for _, p := range parts {
		if p == "" || strings.ContainsAny(p, " \t\n") {
			return Entity{}, fmt.Errorf("%q is neither Kind/name nor Kind/namespace/name, such as ConfigMap/shop/cache", s)
		}
	}
	e := Entity{Kind: Kind(parts[0]), Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		e.Namespace = parts[1]
	}
	short := map[string]Kind{
		"po": KindPod, "no": KindNode, "ns": KindNamespace, "svc": KindService, "pvc": KindPersistentVolumeClaim,
		"pv": KindPersistentVolume, "sc": KindStorageClass, "cm": KindConfigMap, "sa": KindServiceAccount, "quota": KindResourceQuota,
		"hpa": KindHPA, "pdb": KindPDB, "cj": KindCronJob, "sts": KindStatefulSet, "ds": KindDaemonSet, "rs": KindReplicaSet,
	}
	if k := short[strings.ToLower(parts[0])]; k != "" {
		e.Kind = k
		return e, nil
	}
	for _, k := range []Kind{
		KindPod, KindNode, KindNamespace, KindDeployment, KindReplicaSet, KindStatefulSet, KindDaemonSet, KindJob, KindCronJob,
		KindService, KindPersistentVolumeClaim, KindPersistentVolume, KindStorageClass, KindHPA, KindPDB, KindResourceQuota,
		KindLimitRange, KindConfigMap, KindSecret, KindServiceAccount,
	} {
		if strings.EqualFold(parts[0], string(k)) || strings.EqualFold(parts[0], k.Kubectl()) {
			e.Kind = k
		}
	}
	return e, nil
}
