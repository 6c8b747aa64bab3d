// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Where Maven of a job finds its settings. -Dmaven.conf is Maven's own way to name
// the folder of its global settings (conf/m2.conf of Maven 3 and 4); the format of
// its log lies in the same folder.
const (
	mavenConfDir   = "/etc/zviz/maven"
	mavenLogConfig = `org.slf4j.simpleLogger.defaultLogLevel=info
org.slf4j.simpleLogger.showDateTime=false
org.slf4j.simpleLogger.showThreadName=false
org.slf4j.simpleLogger.showLogName=false
org.slf4j.simpleLogger.logFile=System.out
org.slf4j.simpleLogger.cacheOutputStream=true
org.slf4j.simpleLogger.levelInBrackets=true
org.slf4j.simpleLogger.log.Sisu=info
org.slf4j.simpleLogger.warnLevelString=WARNING
`
)

// mavenCentral is in Maven's super-POM
// (maven.apache.org/ref/current/maven-model-builder/super-pom.html). Maven can say
// so only with a plugin that it would first have to fetch.
const mavenCentral = "https://repo.maven.apache.org/maven2"

// discoverMaven reads the operator's settings.xml.
func discoverMaven(ctx context.Context, run Runner) (Preset, error) {
	files, err := readConfig(ctx, run, `"$HOME/.m2/settings.xml"`, `"${MAVEN_HOME:-/usr/share/maven}/conf/settings.xml"`)
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	p.Java = true
	var all mavenSettings
	servers := map[string]*Inject{}
	for _, f := range files {
		s, err := parseMaven(f.data)
		if err != nil {
			return Preset{}, fmt.Errorf("%s: %w", f.path, err)
		}
		all.Mirrors = append(all.Mirrors, s.Mirrors...)
		all.Profiles = append(all.Profiles, s.active()...)
		for _, server := range s.Servers {
			if _, known := servers[server.ID]; known || server.ID == "" {
				continue
			}
			switch {
			case strings.HasPrefix(server.Password, "{") && strings.HasSuffix(server.Password, "}"):
				p.note("%s: the password of server %s is encrypted for Maven alone; name it with inject in a policy file", f.path, clip(server.ID))
			case server.Username != "" && server.Password != "":
				servers[server.ID] = injectConfig("maven", server.ID, f.path, schemeBasic)
			}
		}
		if len(s.Proxies) > 0 {
			p.note("Maven is configured for a proxy; the runner reaches it by egress.upstream.proxy")
		}
	}
	settings, err := p.mavenRepositories(all, servers)
	if err != nil {
		return Preset{}, err
	}
	text, err := settings.encode()
	if err != nil {
		return Preset{}, err
	}
	p.file(mavenConfDir+"/settings.xml", text)
	p.file(mavenConfDir+"/logging/simplelogger.properties", []byte(mavenLogConfig))
	p.setenv("MAVEN_OPTS", "-Dmaven.conf="+mavenConfDir)
	return p, nil
}

// mavenRepositories opens mirrors and repositories and returns the settings for the
// job: without servers, since the gateway has their credentials.
func (p *Preset) mavenRepositories(all mavenSettings, servers map[string]*Inject) (mavenSettings, error) {
	out := mavenSettings{}
	open := func(id, u, what string) (string, bool) {
		clean, err := p.add(source{url: u, origin: "settings.xml " + what + " " + id, inject: servers[id], redirects: true})
		if err != nil {
			p.note("%v; left out", err)
		}
		return clean, err == nil
	}
	for _, m := range all.Mirrors {
		if m.Blocked == "true" || strings.TrimSpace(m.URL) == "" {
			out.Mirrors = append(out.Mirrors, mavenMirror{ID: m.ID, Of: m.Of, URL: "http://0.0.0.0/", Blocked: "true"})
			continue
		}
		if clean, ok := open(m.ID, m.URL, "mirror"); ok {
			out.Mirrors = append(out.Mirrors, mavenMirror{ID: m.ID, Of: m.Of, URL: clean})
		}
	}
	central := !all.mirrors("central", mavenCentral)
	for _, profile := range all.Profiles {
		q := mavenProfile{ID: profile.ID}
		for _, list := range []struct{ from, to *[]mavenRepository }{{&profile.Repositories, &q.Repositories}, {&profile.Plugins, &q.Plugins}} {
			for _, r := range *list.from {
				if r.ID == "central" {
					central = false
				}
				clean := r.URL
				if !all.mirrors(r.ID, r.URL) {
					var ok bool
					if clean, ok = open(r.ID, r.URL, "repository"); !ok {
						continue
					}
				} else if u, _, err := parseSource(r.URL, r.ID); err == nil {
					u.User = nil
					clean = u.String()
				}
				*list.to = append(*list.to, mavenRepository{ID: r.ID, URL: clean})
			}
		}
		out.Profiles = append(out.Profiles, q)
		out.Active = append(out.Active, q.ID)
	}
	if central {
		if _, err := p.add(source{url: mavenCentral, origin: "Maven's default", inject: servers["central"]}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// mavenSettings is the part of settings.xml that is about repositories
// (maven.apache.org/ref/current/maven-settings/settings.html).
type mavenSettings struct {
	XMLName  xml.Name       `xml:"settings"`
	Servers  []mavenServer  `xml:"servers>server,omitempty"`
	Mirrors  []mavenMirror  `xml:"mirrors>mirror,omitempty"`
	Proxies  []struct{}     `xml:"proxies>proxy,omitempty"`
	Profiles []mavenProfile `xml:"profiles>profile,omitempty"`
	Active   []string       `xml:"activeProfiles>activeProfile,omitempty"`
}

type mavenServer struct {
	ID       string `xml:"id"`
	Username string `xml:"username"`
	Password string `xml:"password"`
}

type mavenMirror struct {
	ID      string `xml:"id"`
	Of      string `xml:"mirrorOf"`
	URL     string `xml:"url"`
	Blocked string `xml:"blocked,omitempty"`
}

type mavenProfile struct {
	ID         string `xml:"id"`
	Activation *struct {
		ByDefault string `xml:"activeByDefault"`
	} `xml:"activation"`
	Repositories []mavenRepository `xml:"repositories>repository,omitempty"`
	Plugins      []mavenRepository `xml:"pluginRepositories>pluginRepository,omitempty"`
}

type mavenRepository struct {
	ID  string `xml:"id"`
	URL string `xml:"url"`
}

func parseMaven(data []byte) (mavenSettings, error) {
	var s mavenSettings
	if err := xml.Unmarshal(data, &s); err != nil {
		return mavenSettings{}, errors.New("is no settings.xml that Maven would read")
	}
	return s, nil
}

func (s mavenSettings) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	s.Servers, s.Proxies = nil, nil
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// active are the profiles that are on without being asked for.
func (s mavenSettings) active() []mavenProfile {
	var out []mavenProfile
	for _, p := range s.Profiles {
		if slices.Contains(s.Active, p.ID) || p.Activation != nil && p.Activation.ByDefault == "true" && len(s.Active) == 0 {
			out = append(out, p)
		}
	}
	return out
}

// mirrors reports whether a mirror stands in the place of a repository
// (maven.apache.org/guides/mini/guide-mirror-settings.html).
func (s mavenSettings) mirrors(id, u string) bool {
	outside := !strings.HasPrefix(u, "file:") && !strings.Contains(u, "//localhost") && !strings.Contains(u, "//127.0.0.1")
	for _, m := range s.Mirrors {
		hit, excluded := false, false
		for of := range strings.SplitSeq(m.Of, ",") {
			switch strings.TrimSpace(of) {
			case "!" + id:
				excluded = true
			case "*", id:
				hit = true
			case "external:*":
				hit = hit || outside
			case "external:http:*":
				hit = hit || outside && strings.HasPrefix(u, "http:")
			default:
			}
		}
		if hit && !excluded {
			return true
		}
	}
	return false
}

func mavenCredential(key string, data []byte) (string, error) {
	s, err := parseMaven(data)
	if err != nil {
		return "", err
	}
	for _, server := range s.Servers {
		if server.ID == key && server.Username != "" && server.Password != "" {
			return server.Username + ":" + server.Password, nil
		}
	}
	return "", errNoCredential
}
