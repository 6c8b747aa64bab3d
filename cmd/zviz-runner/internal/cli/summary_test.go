// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"github.com/zviz/run/egress"
)

func TestCarriesData(t *testing.T) {
	tests := []struct {
		name, host string
		want       bool
	}{
		{"an ordinary name", "api.example.com", false},
		{"a content host", "objects-origin.storage.example.com", false},
		{"a short digest", "d1a2b3c4.cdn.example.com", false},
		{"hex", "7a76697a3a776861742d.leak.attacker.example", true},
		{"base32", "pj3gs6r2o5ugc5bno5qxgllton2g63dfny.attacker.example", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := egress.CarriesData(tt.host); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
