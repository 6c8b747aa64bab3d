// SPDX-License-Identifier: Apache-2.0

package mask_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/mask"
	"github.com/zviz/run/internal/pairs"
)

// tokens are n secrets as they are in use: random hex, and tokens that begin alike.
func tokens(n int) []string {
	var out []string
	for i := range n {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		if i%2 == 0 {
			out = append(out, hex.EncodeToString(sum[:20]))
		} else {
			out = append(out, "ghp_"+strings.NewReplacer("+", "x", "/", "y").Replace(base64.RawStdEncoding.EncodeToString(sum[:27])))
		}
	}
	return out
}

// texts are a MiB each of what may be printed.
func texts(secrets []string) map[string]string {
	const size = 1 << 20
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(next func() string) string {
		var b strings.Builder
		for b.Len() < size {
			b.WriteString(next())
		}
		return b.String()[:size]
	}
	some := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	return map[string]string{
		"log": fill(func() string {
			return fmt.Sprintf("2026-11-30T01:02:%02d.%07dZ npm http fetch GET 200 https://registry.example.test/left-pad-%d %dms (cache hit)\n",
				random.IntN(60), random.IntN(1e7), random.IntN(1000), random.IntN(100))
		}),
		"github": fill(func() string {
			return fmt.Sprintf("From https://github.com/octo/hello%d\n * [new ref] %x -> pull/%d/merge\n", random.IntN(100), some(20), random.IntN(100))
		}),
		"base64": fill(func() string { return base64.StdEncoding.EncodeToString(some(57)) + "\n" }),
		"hex":    fill(func() string { return hex.EncodeToString(some(30)) + "\n" }),
		"binary": fill(func() string { return string(some(4096)) }),
		// All of a secret but its last byte, so that nothing is hidden and everything looked at.
		"prefixes": fill(func() string {
			s := secrets[random.IntN(len(secrets))]
			return s[:len(s)-1]
		}),
		// What the sieve lets through, and no more.
		"beginnings": fill(func() string { return secrets[random.IntN(len(secrets))][:4] }),
		"secrets":    fill(func() string { return secrets[random.IntN(len(secrets))] + "\n" }),
	}
}

// BenchmarkSieve: megabytes a second with and without the sieve, in turns, and how
// many times faster it is, with the lower end of the interval.
//
//	go test -run - -bench Sieve -benchtime 40x ./internal/mask
func BenchmarkSieve(b *testing.B) {
	short := append(tokens(50), "1234", "admin") // steps of one byte
	for _, secrets := range []struct {
		name   string
		values []string
	}{{"1", tokens(1)}, {"50", tokens(50)}, {"52 short", short}} {
		for name, text := range texts(secrets.values) {
			b.Run(secrets.name+"/"+name, func(b *testing.B) {
				set := mask.NewSet(secrets.values)
				sets := []*mask.Set{set.WithoutSieve(), set}
				var took [2][]float64
				turn := func(k int) float64 {
					w := sets[k].NewWriter(io.Discard)
					start := time.Now()
					for rest := text; len(rest) > 0; { // as it comes from a pipe
						n := min(len(rest), 32<<10)
						_, _ = w.Write([]byte(rest[:n]))
						rest = rest[n:]
					}
					return time.Since(start).Seconds() / float64(len(text)) * 1e6
				}
				for i := 0; b.Loop(); i++ {
					for k := range sets { // the first one is not always the same
						k = (k + i) % 2
						took[k] = append(took[k], turn(k))
					}
				}
				ratio := pairs.Ratio(took[0], took[1])
				b.ReportMetric(1/pairs.Quantile(took[0], 0.5), "without-MB/s")
				b.ReportMetric(1/pairs.Quantile(took[1], 0.5), "MB/s")
				b.ReportMetric(ratio.Value, "times")
				b.ReportMetric(ratio.Low, "times-low")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
