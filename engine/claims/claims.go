// Package claims says why a PersistentVolumeClaim has no volume: it compares
// the claim with the volumes and classes that exist, as the binder does.
//
// It is pure: states in, a verdict out. A claim that only waits for the pod
// that uses it (WaitForFirstConsumer), or for a provisioner that is at work, is
// healthy and gets no verdict.
package claims

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/engine/placement"
)

// Obstacle is what keeps a claim from its volume, in the words that
// [tapio.PodBlocked] events use as their reason.
type Obstacle string

// The obstacles.
const (
	NoClass      Obstacle = "NoClass"      // the class does not exist
	NoVolume     Obstacle = "NoVolume"     // no volume comes near, and nothing makes one
	Mismatch     Obstacle = "Mismatch"     // one volume nearly fits
	Taken        Obstacle = "VolumeTaken"  // the volume it means is another claim's, or not released
	Lost         Obstacle = "ClaimLost"    // its volume is gone
	Provisioning Obstacle = "Provisioning" // the provisioner says that it failed
)

// Verdict is what keeps a claim from its volume.
type Verdict struct {
	Obstacle Obstacle
	Volume   string // the volume that nearly fits or is taken
	Detail   string // what was compared, as the end of a sentence
}

// noProvisioner is the provisioner of classes whose volumes people make.
const noProvisioner = "kubernetes.io/no-provisioner"

// patience is how long a provisioner may take before its silence is a failure:
// well over what clouds need to make a disk.
const patience = 3 * time.Minute

// Judge says why the claim has no volume. Said is the last that a component
// said about the claim, or empty, and waited how long a pod has been waiting
// for it. It reports false where the claim is bound, may only be waiting, or
// nothing is known against it.
func Judge(claim *tapio.State, volumes, classes []*tapio.State, said string, waited time.Duration) (Verdict, bool) {
	c := claim.Claim
	if c == nil || c.Phase == "Bound" {
		return Verdict{}, false
	}
	if c.Phase == "Lost" {
		detail := "its volume is gone"
		if c.Volume != "" {
			detail = "its volume " + c.Volume + " is gone"
		}
		return Verdict{Obstacle: Lost, Volume: c.Volume, Detail: detail}, true
	}
	all := compare(claim, volumes)
	if c.Volume != "" {
		return named(claim, all)
	}
	for _, f := range all {
		if f.free && len(f.misses) == 0 {
			return Verdict{}, false // the binder is about to take it
		}
	}
	class := classOf(c, classes)
	known := class != nil && class.Class != nil
	makes := known && class.Class.Provisioner != noProvisioner && class.Class.Provisioner != ""
	made := slices.ContainsFunc(volumes, func(v *tapio.State) bool { return v.Volume != nil && v.Volume.Class == c.Class })
	switch {
	case missingClass(said) || c.Class != "" && !known && len(classes) > 0 && !made:
		return Verdict{Obstacle: NoClass, Detail: noClass(c, classes, all)}, true
	case strings.Contains(said, "failed to provision") || strings.Contains(said, "error getting handle for DataSource"):
		return Verdict{Obstacle: Provisioning}, true
	case makes && strings.Contains(said, "waiting for a volume to be created") && waited > patience:
		return Verdict{Obstacle: Provisioning, Detail: "the provisioner " + class.Class.Provisioner + " has made no volume in " + waited.Truncate(time.Minute).String()}, true
	case makes, c.Class != "" && !known && !made:
		return Verdict{}, false // a provisioner may be at work
	case known && class.Class.WaitsForPod && said == "":
		if len(all) == 0 || !slices.ContainsFunc(all, func(f fit) bool { return f.free }) {
			return Verdict{}, false // nobody has asked for it to be bound yet
		}
	}
	return manual(claim, all)
}

// missingClass reports whether the warning says that the class is not there.
func missingClass(said string) bool {
	return strings.Contains(said, "storageclass") && strings.Contains(said, "not found")
}

// named judges a claim that names its volume.
func named(claim *tapio.State, all []fit) (Verdict, bool) {
	c := claim.Claim
	i := slices.IndexFunc(all, func(f fit) bool { return f.volume.Entity.Name == c.Volume })
	if i < 0 {
		if len(all) == 0 {
			return Verdict{}, false // volumes may not have been read
		}
		return Verdict{Obstacle: NoVolume, Volume: c.Volume, Detail: "it names volume " + c.Volume + ", which does not exist"}, true
	}
	f := all[i]
	switch {
	case f.taken != "":
		return Verdict{Obstacle: Taken, Volume: c.Volume, Detail: f.taken}, true
	case len(f.misses) > 0:
		return Verdict{Obstacle: Mismatch, Volume: c.Volume, Detail: f.text()}, true
	}
	return Verdict{}, false
}

// manual judges a claim whose volume people must make.
func manual(claim *tapio.State, all []fit) (Verdict, bool) {
	c := claim.Claim
	for _, f := range all {
		// Its own volume of an earlier life, or one that its selector means.
		own := f.volume.Volume.Claim == claim.Entity
		chosen := c.Selector != nil && placement.Matches(c.Selector, f.volume.Labels)
		if f.taken != "" && len(f.misses) == 0 && (own || chosen) {
			return Verdict{Obstacle: Taken, Volume: f.volume.Entity.Name, Detail: f.taken}, true
		}
	}
	var best *fit
	for i := range all {
		if f := &all[i]; f.free && (best == nil || len(f.misses) < len(best.misses)) {
			best = f
		}
	}
	if best != nil && len(best.misses) <= 2 {
		return Verdict{Obstacle: Mismatch, Volume: best.volume.Entity.Name, Detail: best.text()}, true
	}
	if !c.ClassGiven {
		return Verdict{Obstacle: NoClass, Detail: "there is no default class, and no volume without a class fits"}, true
	}
	for _, f := range all {
		if f.taken != "" && len(f.misses) == 0 && f.volume.Volume.Phase == "Released" {
			return Verdict{Obstacle: NoVolume, Detail: "no volume is free that fits; " + f.taken}, true
		}
	}
	return Verdict{Obstacle: NoVolume, Detail: "it asks for " + want(c) + ", and no such volume is free"}, true
}

// fit is how a volume compares with a claim.
type fit struct {
	volume *tapio.State
	free   bool
	taken  string   // by whom, where it is not free
	misses []string // why it does not fit, as ends of a sentence
}

// compare holds the claim against every volume, in the order of their names.
func compare(claim *tapio.State, volumes []*tapio.State) []fit {
	c := claim.Claim
	var out []fit
	for _, v := range volumes {
		p := v.Volume
		if p == nil {
			continue
		}
		f := fit{volume: v}
		owner := p.Claim
		mine := owner == claim.Entity && (p.ClaimUID == "" || claim.UID == "" || p.ClaimUID == claim.UID)
		switch {
		case p.Phase == "Released":
			f.taken = fmt.Sprintf("volume %s is Released: it is still kept for the deleted claim %s", v.Entity.Name, owner.Name)
		case p.Phase == "Failed":
			f.taken = fmt.Sprintf("volume %s has failed to be reclaimed", v.Entity.Name)
		case !owner.IsZero() && !mine:
			f.taken = fmt.Sprintf("volume %s belongs to claim %s of %s", v.Entity.Name, owner.Name, owner.Namespace)
		default:
			f.free = true
		}
		if p.Class != c.Class {
			f.misses = append(f.misses, fmt.Sprintf("its class is %s, asked is %s", orNone(p.Class), orNone(c.Class)))
		}
		if lacking := missing(c.Modes, p.Modes); len(lacking) > 0 {
			f.misses = append(f.misses, fmt.Sprintf("its access mode is %s, asked is %s", orNone(strings.Join(p.Modes, ", ")), strings.Join(c.Modes, ", ")))
		}
		if less(p.Capacity, c.Requested) {
			f.misses = append(f.misses, fmt.Sprintf("it holds %s, asked is %s", p.Capacity, c.Requested))
		}
		if c.Selector != nil && !placement.Matches(c.Selector, v.Labels) {
			f.misses = append(f.misses, "its labels do not match the claim's selector "+selectorText(c.Selector))
		}
		if cmp.Or(p.Mode, "Filesystem") != cmp.Or(c.Mode, "Filesystem") {
			f.misses = append(f.misses, fmt.Sprintf("its volume mode is %s, asked is %s", cmp.Or(p.Mode, "Filesystem"), cmp.Or(c.Mode, "Filesystem")))
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b fit) int { return a.volume.Entity.Compare(b.volume.Entity) })
	return out
}

func (f *fit) text() string {
	return fmt.Sprintf("volume %s comes nearest, but %s", f.volume.Entity.Name, strings.Join(f.misses, ", and "))
}

func missing(want, have []string) []string {
	var out []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			out = append(out, w)
		}
	}
	return out
}

func less(a, b string) bool {
	qa, errA := resource.ParseQuantity(a)
	qb, errB := resource.ParseQuantity(b)
	return errA == nil && errB == nil && qa.Cmp(qb) < 0
}

func orNone(s string) string { return cmp.Or(s, "none") }

// want words what a claim asks for.
func want(c *tapio.ClaimState) string {
	text := cmp.Or(c.Requested, "a volume")
	if len(c.Modes) > 0 {
		text += " " + strings.Join(c.Modes, ", ")
	}
	if c.Class != "" {
		text += " of class " + c.Class
	} else {
		text += " without a class"
	}
	if c.Selector != nil {
		text += " with " + selectorText(c.Selector)
	}
	return text
}

func selectorText(s *tapio.LabelSelector) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, k+"="+s.Labels[k])
	}
	for _, x := range s.Expressions {
		parts = append(parts, x.Key+" "+x.Operator+" "+strings.Join(x.Values, ","))
	}
	return strings.Join(parts, ", ")
}

// classOf returns the class of a claim, or nil: the default one where it names
// none and there is one.
func classOf(c *tapio.ClaimState, classes []*tapio.State) *tapio.State {
	for _, s := range classes {
		if c.ClassGiven && s.Entity.Name == c.Class || !c.ClassGiven && s.Class != nil && s.Class.Default {
			return s
		}
	}
	return nil
}

// noClass says which class is missing and what comes near it.
func noClass(c *tapio.ClaimState, classes []*tapio.State, all []fit) string {
	text := "there is no class " + c.Class
	best, least := "", 1+len(c.Class)/3
	var names []string
	for _, s := range classes {
		names = append(names, s.Entity.Name)
		if d := levenshtein.ComputeDistance(s.Entity.Name, c.Class); d < least {
			best, least = s.Entity.Name, d
		}
	}
	slices.Sort(names)
	switch {
	case best != "":
		text += "; there is " + best
	case len(names) > 0 && len(names) <= 4:
		text += "; there is " + strings.Join(names, ", ")
	}
	for _, f := range all {
		if f.free && len(f.misses) == 1 && f.volume.Volume.Class != c.Class {
			return text + fmt.Sprintf("; volume %s would fit with class %s", f.volume.Entity.Name, orNone(f.volume.Volume.Class))
		}
	}
	return text
}
