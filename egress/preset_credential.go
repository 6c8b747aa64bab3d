// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Placeholder stands in configuration and environment where a credential would be.
const Placeholder = "zviz-placeholder"

// errNoCredential is said of a configuration that has changed since it was read.
var errNoCredential = errors.New("the configuration holds no such credential")

// schemeBasic and schemeBearer are those of RFC 7617 and RFC 6750.
const (
	schemeBasic  = "Basic"
	schemeBearer = "Bearer"
)

// fromConfig is an Inject.ValueFrom that leads to a credential in a tool's own
// configuration. Only the way is kept: the credential is read when a network opens.
func fromConfig(format, key, file string) string {
	return "config:" + format + ":" + url.QueryEscape(key) + ":" + file
}

// injectConfig puts a credential of a tool's configuration into requests.
func injectConfig(format, key, file, scheme string) *Inject {
	return &Inject{Header: "Authorization", ValueFrom: fromConfig(format, key, file), Scheme: scheme}
}

// injectEnv puts a credential of the operator's environment into requests.
func injectEnv(name, scheme string) *Inject {
	return &Inject{Header: "Authorization", ValueFrom: "env:" + name, Scheme: scheme}
}

// ConfigSource reads an Inject.ValueFrom of the form "config:FORMAT:KEY:/PATH", as
// presets make them.
func ConfigSource(from string) (format, key, file string, ok bool) {
	rest, ok := strings.CutPrefix(from, "config:")
	if !ok {
		return "", "", "", false
	}
	format, rest, _ = strings.Cut(rest, ":")
	coded, file, _ := strings.Cut(rest, ":")
	key, err := url.QueryUnescape(coded)
	_, known := credentialFormats()[format]
	return format, key, file, err == nil && known && strings.HasPrefix(file, "/")
}

// ConfigCredential finds the credential that ConfigSource names in the content of
// the file. lookup returns a variable of the operator's environment: some
// configurations name one. No error holds what the file says.
func ConfigCredential(format, key string, data []byte, lookup func(string) string) (string, error) {
	find, ok := credentialFormats()[format]
	if !ok {
		return "", fmt.Errorf("configuration of an unknown format %q", clip(format))
	}
	value, err := find(key, data)
	if err != nil {
		return "", err
	}
	switch format {
	case "npmrc", "yarnrc", "maven":
		return expandVariables(value, `\$\{(?:env\.)?([A-Za-z_][A-Za-z0-9_]*)\??(?::?-([^}]*))?\}`, lookup)
	case "nuget":
		return expandVariables(value, `%([A-Za-z_][A-Za-z0-9_]*)%()`, lookup)
	default: // the others have no variables
		return value, nil
	}
}

// credentialFormats are the configurations in which tools keep credentials.
func credentialFormats() map[string]func(key string, data []byte) (string, error) {
	return map[string]func(string, []byte) (string, error){
		"npmrc":  npmrcCredential,
		"yarnrc": yarnrcCredential,
		"cargo":  cargoCredential,
		"maven":  mavenCredential,
		"gemrc":  gemrcCredential,
		"bundle": bundleCredential,
		"nuget":  nugetCredential,
		"docker": dockerCredential,
		"url":    urlCredential,
	}
}

// expandVariables replaces what the pattern finds: ${NAME}, ${NAME-default},
// ${NAME:-default} (npm, yarn), ${env.NAME} (Maven) or %NAME% (NuGet). Its groups are a
// name and what stands for it if it is not set.
func expandVariables(value, pattern string, lookup func(string) string) (string, error) {
	var missing string
	variable := regexp.MustCompile(pattern)
	out := variable.ReplaceAllStringFunc(value, func(s string) string {
		m := variable.FindStringSubmatch(s)
		if v := lookup(m[1]); v != "" {
			return v
		}
		if m[2] == "" && missing == "" {
			missing = m[1]
		}
		return m[2]
	})
	if missing != "" {
		return "", fmt.Errorf("it names the variable %s, which is not set", missing)
	}
	return out, nil
}

// userPassword joins what Basic encodes. A token that is given as a user alone has
// an empty password.
func userPassword(u *url.Userinfo) string {
	if u == nil {
		return ""
	}
	password, _ := u.Password()
	return u.Username() + ":" + password
}

// decodeBasic reads the base64 of user:password.
func decodeBasic(s string) (string, error) {
	plain, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !strings.Contains(string(plain), ":") {
		return "", errors.New("is not the base64 of user:password")
	}
	return string(plain), nil
}

// urlInject has the gateway put in the user and the password of a URL that one of the
// files holds; nil if the URL has none, or comes from elsewhere.
func urlInject(raw string, files []configFile) *Inject {
	key := redactURL(strings.TrimSpace(raw))
	if key == strings.TrimSpace(raw) {
		return nil
	}
	for _, f := range files {
		if _, err := urlCredential(key, f.data); err == nil {
			return injectConfig("url", key, f.path, schemeBasic)
		}
	}
	return nil
}

// urlCredential finds the URL that is key but for its user and its password.
func urlCredential(key string, data []byte) (string, error) {
	for _, raw := range regexp.MustCompile(`https://[^\s'"|,]+@[^\s'"|,]+`).FindAllString(string(data), -1) {
		if u, err := url.Parse(raw); err == nil && u.User != nil && redactURL(raw) == key {
			return userPassword(u.User), nil
		}
	}
	return "", errNoCredential
}
