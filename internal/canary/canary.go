// SPDX-License-Identifier: Apache-2.0

package canary

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// Credential is one planted value.
type Credential struct {
	Name  string // for people: "npm token of ~/.npmrc"
	Value string
}

// Set is what one job gets.
type Set struct {
	Credentials []Credential
	Files       map[string][]byte // by path below the home
}

// The hosts that the credentials are for exist nowhere: .internal is reserved. So no
// tool sends one by itself.
const (
	registryHost = "npm.corp.internal"
	gitHost      = "git.corp.internal"
)

const (
	alphabet62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	alphabet32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	alphabet64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)

// New makes a set of credentials.
func New() Set {
	npm, forge := checked("npm_"), checked("ghp_")
	gitlab := "glpat-" + text(alphabet62, 20)
	keyID, secret := "AKIA"+text(alphabet32, 16), text(alphabet64, 40)
	ssh, seed, line := sshKey()
	return Set{
		Credentials: []Credential{
			{"npm token of ~/.npmrc", npm},
			{"forge token of ~/.config/gh/hosts.yml", forge},
			{"forge token of ~/.git-credentials", gitlab},
			{"cloud key of ~/.aws/credentials", keyID},
			{"cloud key of ~/.aws/credentials", secret},
			{"SSH key of ~/.ssh/id_ed25519", seed},
			{"SSH key of ~/.ssh/id_ed25519", line},
		},
		Files: map[string][]byte{
			".npmrc":               fmt.Appendf(nil, "//%s/:_authToken=%s\n", registryHost, npm),
			".config/gh/hosts.yml": fmt.Appendf(nil, "%s:\n    user: ci-bot\n    oauth_token: %s\n    git_protocol: https\n", gitHost, forge),
			".git-credentials":     fmt.Appendf(nil, "https://oauth2:%s@%s\n", gitlab, gitHost),
			".aws/credentials":     fmt.Appendf(nil, "[deploy]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keyID, secret),
			".ssh/id_ed25519":      ssh,
		},
	}
}

// text is n random characters.
func text(alphabet string, n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// checked is a token as npm and GitHub make them: thirty random characters and a
// checksum of them in six, by which thieves tell real ones.
func checked(prefix string) string {
	body := text(alphabet62, 30)
	sum := crc32.ChecksumIEEE([]byte(body))
	tail := make([]byte, 6)
	for i := len(tail) - 1; i >= 0; i-- {
		tail[i] = alphabet62[sum%62]
		sum /= 62
	}
	return prefix + body + string(tail)
}

// sshKey makes a key in OpenSSH's form (PROTOCOL.key of openssh-portable). What tells
// it from other keys is the seed and, of its PEM, the line that the seed is in: the
// other lines are alike in all keys, or public.
func sshKey() (file []byte, seed, line string) {
	pub, private, _ := ed25519.GenerateKey(nil) // never fails
	str := func(b, s []byte) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	public := str(str(nil, []byte("ssh-ed25519")), pub)
	check := []byte(text(alphabet62, 4))
	secret := append(append([]byte{}, check...), check...)
	secret = append(secret, public...)
	secret = str(str(secret, private), []byte("ci@build"))
	for i := byte(1); len(secret)%8 != 0; i++ {
		secret = append(secret, i)
	}
	b := []byte("openssh-key-v1\x00")
	b = str(str(str(b, []byte("none")), []byte("none")), nil)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = str(str(b, public), secret)

	// OpenSSH wraps at 70 characters, package pem at 64.
	coded := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	out.WriteString("-----BEGIN OPENSSH PRIVATE KEY-----\n")
	const wide, seedAt = 70, 161 // bytes before the seed
	for i := 0; i < len(coded); i += wide {
		part := coded[i:min(i+wide, len(coded))]
		if i <= seedAt*4/3 && seedAt*4/3 < i+wide {
			line = part
		}
		out.WriteString(part + "\n")
	}
	out.WriteString("-----END OPENSSH PRIVATE KEY-----\n")
	return []byte(out.String()), string(private.Seed()), line
}
