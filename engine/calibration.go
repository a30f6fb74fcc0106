package engine

import (
	_ "embed"
	"fmt"
	"math"

	"sigs.k8s.io/yaml"

	"github.com/yairfalse/tapio"
)

//go:embed calibration.yaml
var calibration []byte

// minCalibration is how many labelled incidents of a standing it takes before
// their share says anything: with fewer than 20, one of them moves it by more
// than five points.
const minCalibration = 20

// Calibration says how often stories of a standing were right about cause and
// object, as it was measured on labelled incidents. `tapio score --calibrate`
// generates it; nobody types it.
type Calibration struct {
	Incidents int          `json:"incidents"` // labelled incidents that it was measured on
	Standings []Calibrated `json:"standings"`
}

// Calibrated is what was measured of one standing.
type Calibrated struct {
	Standing tapio.Standing `json:"standing"`
	Cases    int            `json:"cases"` // incidents whose first story had this standing
	Right    int            `json:"right"` // of which so many named cause and object right
}

// ParseCalibration reads what `tapio score --calibrate` wrote.
func ParseCalibration(data []byte) (Calibration, error) {
	var c Calibration
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return Calibration{}, fmt.Errorf("calibration: %w", err)
	}
	for _, s := range c.Standings {
		if s.Right < 0 || s.Right > s.Cases {
			return Calibration{}, fmt.Errorf("calibration: %s: %d right of %d", s.Standing, s.Right, s.Cases)
		}
	}
	return c, nil
}

// Shares returns the share of right stories, to two digits, for each standing
// that was measured often enough. A story that claims no cause has no share.
func (c Calibration) Shares() map[tapio.Standing]float64 {
	out := map[tapio.Standing]float64{}
	for _, s := range c.Standings {
		if s.Cases >= minCalibration && s.Standing != tapio.StandingUnknown {
			out[s.Standing] = math.Round(100*float64(s.Right)/float64(s.Cases)) / 100
		}
	}
	return out
}

// confidence is the measured share for the standing, or nil.
func (e *Engine) confidence(s tapio.Standing) *float64 {
	if share, ok := e.shares[s]; ok {
		return &share
	}
	return nil
}
