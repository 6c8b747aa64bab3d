// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// CargoConfig is the document that says where crates are.
const CargoConfig = "config.json"

// classifyCargo knows a sparse index, and the two forms in which crates are
// downloaded: "NAME/VERSION/download" and "NAME/NAME-VERSION.crate".
func classifyCargo(seg []string) Request {
	if len(seg) == 1 && seg[0] == CargoConfig {
		return Request{Kind: Service, File: CargoConfig, path: CargoConfig}
	}
	last := seg[len(seg)-1]
	name := seg[0]
	switch {
	case !only(last, "._+-"):
		return Request{}
	case len(seg) == 3 && last == "download" && validCrate(name) && only(seg[1], ".+-"):
		return Request{Kind: File, Name: name, Version: seg[1], File: last, path: join(seg...)}
	case len(seg) <= 2 && strings.HasSuffix(last, ".crate"):
		version, ok := strings.CutPrefix(strings.TrimSuffix(last, ".crate"), name+"-")
		if len(seg) == 2 && ok && validCrate(name) && only(version, ".+-") {
			return Request{Kind: File, Name: name, Version: version, File: last, path: join(seg...)}
		}
	case validCrate(last) && CargoIndexPath(last) == join(seg...):
		return Request{Kind: Index, Name: last, path: join(seg...)}
	}
	return Request{}
}

func validCrate(name string) bool { return only(name, "_-") && len(name) <= 64 }

// CargoIndexPath is where a sparse index keeps a crate (the Cargo book).
func CargoIndexPath(name string) string {
	lower := strings.ToLower(name)
	switch len(lower) {
	case 0:
		return ""
	case 1, 2:
		return string(rune('0'+len(lower))) + "/" + lower
	case 3:
		return "3/" + lower[:1] + "/" + lower
	default:
		return lower[:2] + "/" + lower[2:4] + "/" + lower
	}
}
