// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// Neighbour is an honest job: so many rounds of what builds do all the time, a
// question, an allowed TLS connection, and a program. It fails at the first that
// does not work.
func Neighbour(rounds string) (string, error) {
	n, err := strconv.Atoi(rounds)
	if err != nil {
		return "", err
	}
	start := time.Now()
	for i := range n {
		if _, err := asks("udp", gatewayAddr+":53", AllowedHost)(); err != nil {
			return "", fmt.Errorf("round %d: question: %w", i, err)
		}
		if _, err := handshakes(gatewayAddr+":443", AllowedHost)(); err != nil {
			return "", fmt.Errorf("round %d: TLS: %w", i, err)
		}
		if _, err := tunnelThenHello(AllowedHost+":443", AllowedHost); err != nil {
			return "", fmt.Errorf("round %d: CONNECT: %w", i, err)
		}
		if err := exec.Command("/bin/true").Run(); err != nil {
			return "", fmt.Errorf("round %d: program: %w", i, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Sprintf("%d rounds in %d ms", n, time.Since(start).Milliseconds()), nil
}
