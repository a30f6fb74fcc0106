package facts

import (
	"cmp"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/yairfalse/tapio"
)

const (
	// annotationClass names a claim's or volume's class where its spec does not:
	// the form of old manifests.
	annotationClass = "volume.beta.kubernetes.io/storage-class"
	// annotationDefaultClass marks the class that claims without one get.
	annotationDefaultClass     = "storageclass.kubernetes.io/is-default-class"
	annotationDefaultClassBeta = "storageclass.beta.kubernetes.io/is-default-class"
)

func claimState(c *corev1.PersistentVolumeClaim) tapio.State {
	s := base(tapio.KindPersistentVolumeClaim, c)
	s.Claim = &tapio.ClaimState{
		Phase:     string(c.Status.Phase),
		Volume:    c.Spec.VolumeName,
		Requested: quantity(c.Spec.Resources.Requests, corev1.ResourceStorage),
		Modes:     accessModes(c.Spec.AccessModes),
		Selector:  selector(c.Spec.Selector),
	}
	if c.Spec.StorageClassName != nil {
		s.Claim.Class, s.Claim.ClassGiven = *c.Spec.StorageClassName, true
	} else if class, ok := c.Annotations[annotationClass]; ok {
		s.Claim.Class, s.Claim.ClassGiven = class, true
	}
	if c.Spec.VolumeMode != nil {
		s.Claim.Mode = string(*c.Spec.VolumeMode)
	}
	return s
}

func volumeState(v *corev1.PersistentVolume) tapio.State {
	s := base(tapio.KindPersistentVolume, v)
	s.Volume = &tapio.VolumeState{
		Phase:    string(v.Status.Phase),
		Capacity: quantity(v.Spec.Capacity, corev1.ResourceStorage),
		Modes:    accessModes(v.Spec.AccessModes),
		Class:    cmp.Or(v.Spec.StorageClassName, v.Annotations[annotationClass]),
		Reclaim:  string(v.Spec.PersistentVolumeReclaimPolicy),
		Driver:   driver(&v.Spec.PersistentVolumeSource),
	}
	if v.Spec.VolumeMode != nil {
		s.Volume.Mode = string(*v.Spec.VolumeMode)
	}
	if r := v.Spec.ClaimRef; r != nil {
		s.Volume.Claim = reference(tapio.KindPersistentVolumeClaim, r.Namespace, r.Name)
		s.Volume.ClaimUID = string(r.UID)
	}
	if v.Spec.NodeAffinity != nil {
		s.Volume.Nodes = nodeTerms(v.Spec.NodeAffinity.Required)
	}
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion} {
		if zone := v.Labels[key]; zone != "" {
			if s.Volume.Zones == nil {
				s.Volume.Zones = make(map[string]string, 2)
			}
			s.Volume.Zones[key] = zone
		}
	}
	return s
}

// driver names what a volume is made of: its CSI driver, or the one source
// that is set, as the API spells it.
func driver(source *corev1.PersistentVolumeSource) string {
	if source.CSI != nil {
		return source.CSI.Driver
	}
	v := reflect.ValueOf(source).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	return ""
}

func classState(c *storagev1.StorageClass) tapio.State {
	s := base(tapio.KindStorageClass, c)
	s.Class = &tapio.ClassState{
		Provisioner: c.Provisioner,
		WaitsForPod: c.VolumeBindingMode != nil && *c.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer,
		Default:     c.Annotations[annotationDefaultClass] == "true" || c.Annotations[annotationDefaultClassBeta] == "true",
	}
	return s
}

func accessModes(in []corev1.PersistentVolumeAccessMode) []string {
	var out []string
	for _, m := range in {
		out = append(out, string(m))
	}
	return out
}

// stripVolume keeps of a volume what [volumeState] reads: of its source only
// which one it is.
func stripVolume(v *corev1.PersistentVolume) {
	spec := corev1.PersistentVolumeSpec{
		Capacity: v.Spec.Capacity, AccessModes: v.Spec.AccessModes, StorageClassName: v.Spec.StorageClassName,
		PersistentVolumeReclaimPolicy: v.Spec.PersistentVolumeReclaimPolicy, NodeAffinity: v.Spec.NodeAffinity, VolumeMode: v.Spec.VolumeMode,
	}
	if r := v.Spec.ClaimRef; r != nil {
		spec.ClaimRef = &corev1.ObjectReference{Namespace: r.Namespace, Name: r.Name, UID: r.UID}
	}
	if csi := v.Spec.CSI; csi != nil {
		spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: csi.Driver}
	} else if name := driver(&v.Spec.PersistentVolumeSource); name != "" {
		// An empty source of the same kind: paths, servers and keys go.
		from, to := reflect.ValueOf(&v.Spec.PersistentVolumeSource).Elem(), reflect.ValueOf(&spec.PersistentVolumeSource).Elem()
		for i := range from.NumField() {
			if f := from.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
				to.Field(i).Set(reflect.New(f.Type().Elem()))
			}
		}
	}
	v.Spec = spec
	v.Status = corev1.PersistentVolumeStatus{Phase: v.Status.Phase}
}
