// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"slices"
	"strings"

	"github.com/zviz/run/egress"
)

// Allowable returns what --allow would have to name so that what the rows say was
// denied, or would have been, is allowed. Only hosts that parse as such get into it, and
// none that looks as if it carried data: the list is made to be pasted into a shell, and
// the job chose the names.
func Allowable(rows []egress.Summary) []string {
	var hosts []string
	for _, row := range rows {
		item, ok := strings.CutPrefix(row.Fix, "--allow ")
		if !ok || row.Verdict == egress.VerdictAllow || row.Verdict == egress.VerdictLearned || row.Expected {
			continue
		}
		rule, err := egress.ParseRule(item)
		if err == nil && !egress.CarriesData(rule.Host) && !slices.Contains(hosts, rule.String()) {
			hosts = append(hosts, rule.String())
		}
	}
	// With ports 443 and 80 in the bare name, "host:443" beside "host" is noise.
	return slices.DeleteFunc(hosts, func(h string) bool {
		name, port, _ := strings.Cut(h, ":")
		return (port == "443" || port == "80") && slices.Contains(hosts, name)
	})
}
