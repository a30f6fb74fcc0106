package claims

import (
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
)

func claim(c tapio.ClaimState) *tapio.State {
	if c.Phase == "" {
		c.Phase = "Pending"
	}
	return &tapio.State{Entity: tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Namespace: "shop", Name: "data"}, UID: "u1", Claim: &c}
}

func volume(name string, v tapio.VolumeState) *tapio.State {
	if v.Phase == "" {
		v.Phase = "Available"
	}
	return &tapio.State{Entity: tapio.Entity{Kind: tapio.KindPersistentVolume, Name: name}, Labels: map[string]string{"tier": name}, Volume: &v}
}

func class(name, provisioner string, waits bool) *tapio.State {
	return &tapio.State{Entity: tapio.Entity{Kind: tapio.KindStorageClass, Name: name}, Class: &tapio.ClassState{Provisioner: provisioner, WaitsForPod: waits}}
}

func TestJudge(t *testing.T) {
	rwo := []string{"ReadWriteOnce"}
	data := tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Namespace: "shop", Name: "data"}
	other := tapio.Entity{Kind: tapio.KindPersistentVolumeClaim, Namespace: "shop", Name: "other"}
	none := tapio.ClaimState{ClassGiven: true, Requested: "1Gi", Modes: rwo}
	fast := tapio.ClaimState{ClassGiven: true, Class: "fast", Requested: "1Gi", Modes: rwo}
	named := none
	named.Volume = "pv-1"
	picky := none
	picky.Selector = &tapio.LabelSelector{Labels: map[string]string{"tier": "gold"}}
	lost := tapio.ClaimState{Phase: "Lost", Volume: "pv-1"}
	manual := fast
	manual.Class = "manual"
	tests := []struct {
		name    string
		claim   tapio.ClaimState
		volumes []*tapio.State
		classes []*tapio.State
		said    string
		waited  time.Duration
		want    Obstacle // none: healthy, or not known
		detail  string
	}{
		{"lost", lost, nil, nil, "", 0, Lost, "pv-1 is gone"},
		{"a volume that fits is about to be bound", none, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: rwo})}, nil, "", 0, "", ""},
		{"size", none, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "500Mi", Modes: rwo})}, nil, "", 0, Mismatch, "it holds 500Mi, asked is 1Gi"},
		{"mode", none, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: []string{"ReadOnlyMany"}})}, nil, "", 0, Mismatch, "access mode is ReadOnlyMany"},
		{"class of a volume", none, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: rwo, Class: "slow"})}, nil, "", 0, Mismatch, "its class is slow, asked is none"},
		{"selector", picky, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: rwo})}, nil, "", 0, Mismatch, "tier=gold"},
		{"the nearest of two", none, []*tapio.State{
			volume("pv-1", tapio.VolumeState{Capacity: "100Mi", Modes: []string{"ReadOnlyMany"}}), volume("pv-2", tapio.VolumeState{Capacity: "500Mi", Modes: rwo})}, nil, "", 0, Mismatch, "pv-2"},
		{"a released leftover of somebody else", none, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: rwo, Phase: "Released", Claim: other})}, nil, "", 0, NoVolume, "Released"},
		{"its own volume of an earlier life", none, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: rwo, Phase: "Released", Claim: data})}, nil, "", 0, Taken, "pv-1 is Released"},
		{"the named volume is another's", named, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "1Gi", Modes: rwo, Phase: "Bound", Claim: other})}, nil, "", 0, Taken, "belongs to claim other"},
		{"the named volume does not exist", named, []*tapio.State{volume("pv-2", tapio.VolumeState{})}, nil, "", 0, NoVolume, "pv-1, which does not exist"},
		{"nothing there", none, nil, nil, "no persistent volumes available for this claim and no storage class is set", 0, NoVolume, "1Gi ReadWriteOnce without a class"},
		{"no class named, and no default", tapio.ClaimState{Requested: "1Gi", Modes: rwo}, nil, []*tapio.State{class("fast", "x", false)}, "", 0, NoClass, "no default class"},
		{"no such class", fast, nil, []*tapio.State{class("fasst", "x", false)}, "", 0, NoClass, "there is fasst"},
		{"no such class, as the controller says", fast, nil, nil, `storageclass.storage.k8s.io "fast" not found`, 0, NoClass, "no class fast"},
		{"classes were not read", fast, nil, nil, "", 0, "", ""},
		{"a name of class that only volumes bear", manual, []*tapio.State{volume("pv-1", tapio.VolumeState{Capacity: "500Mi", Modes: rwo, Class: "manual"})}, []*tapio.State{class("fast", "x", false)}, "", 0, Mismatch, "500Mi"},
		{"the provisioner is at work", fast, nil, []*tapio.State{class("fast", "x", false)}, "waiting for a volume to be created either by the external provisioner 'x' or manually", time.Minute, "", ""},
		{"the provisioner is silent", fast, nil, []*tapio.State{class("fast", "x", false)}, "waiting for a volume to be created either by the external provisioner 'x' or manually", 10 * time.Minute, Provisioning, "x has made no volume in 10m"},
		{"the provisioner failed", fast, nil, []*tapio.State{class("fast", "x", true)}, "failed to provision volume with StorageClass: quota", 0, Provisioning, ""},
		{"waits for its pod", fast, nil, []*tapio.State{class("fast", noProvisioner, true)}, "", time.Hour, "", ""},
	}
	for _, test := range tests {
		v, ok := Judge(claim(test.claim), test.volumes, test.classes, test.said, test.waited)
		if ok != (test.want != "") || v.Obstacle != test.want || !strings.Contains(v.Detail, test.detail) {
			t.Errorf("%s: %+v, want %q with %q", test.name, v, test.want, test.detail)
		}
	}
}
