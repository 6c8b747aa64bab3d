// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// sameName is one form for all spellings of a name that a registry takes for the same:
// what a policy or a lockfile says must hold for each of them. A glob stays one.
func (e Ecosystem) sameName(name string) string {
	switch e {
	case PyPI:
		return NormalizePyPI(name) // PEP 503
	case Cargo:
		return strings.ReplaceAll(strings.ToLower(name), "_", "-") // an index has one of them (the Cargo book)
	default:
		return name
	}
}

// sameVersion is the same for a version. Only Python has several spellings of one
// (PEP 440, "Normalization").
func (e Ecosystem) sameVersion(version string) string {
	if e != PyPI {
		return version
	}
	public, local, isLocal := strings.Cut(strings.TrimPrefix(strings.ToLower(version), "v"), "+")
	i := len(public)
	if at := strings.IndexFunc(public, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '!' }); at >= 0 {
		i = at
	}
	epoch, release, hasEpoch := strings.Cut(public[:i], "!")
	if !hasEpoch {
		epoch, release = "", epoch
	}
	var numbers []string
	for n := range strings.SplitSeq(strings.Trim(release, "."), ".") {
		if n = strings.TrimLeft(n, "0"); n == "" {
			n = "0"
		}
		numbers = append(numbers, n)
	}
	for len(numbers) > 1 && numbers[len(numbers)-1] == "0" {
		numbers = numbers[:len(numbers)-1]
	}
	rest := strings.NewReplacer("-", "", "_", "", ".", "").Replace(public[i:])
	if after, ok := strings.CutPrefix(public[i:], "-"); ok && strings.Trim(after, "0123456789") == "" {
		rest = "post" + rest
	}
	out := strings.Join(numbers, ".") + spelling().Replace(rest)
	if epoch = strings.TrimLeft(epoch, "0"); epoch != "" {
		out = epoch + "!" + out
	}
	if isLocal {
		out += "+" + strings.NewReplacer("-", ".", "_", ".").Replace(local)
	}
	return out
}

// spelling makes one of the names of what comes before and after a release.
func spelling() *strings.Replacer {
	return strings.NewReplacer("alpha", "a", "beta", "b", "preview", "rc", "pre", "rc", "post", "post", "rev", "post", "rc", "rc", "c", "rc", "r", "post")
}
