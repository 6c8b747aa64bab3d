// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	"software.sslmate.com/src/go-pkcs12"
)

// javaTrustPath is a store of trusted certificates for Java, which reads neither PEM
// nor any variable about it but this one.
const (
	javaTrustPath     = "/etc/zviz/java.p12"
	javaTrustPassword = "changeit" // of every such store; nothing in it is secret
)

// trustJava puts the job's bundle where Java looks, if a preset is for Java. The
// variable makes each Java say on stderr that it has read it.
func (f JobFiles) trustJava(presets []Preset) error {
	if !slices.ContainsFunc(presets, func(p Preset) bool { return p.Java }) {
		return nil
	}
	store, err := pkcs12.LegacyDES.EncodeTrustStore(certificates(f.CABundle), javaTrustPassword) // Java 8 reads it too
	if err != nil {
		return fmt.Errorf("trusted certificates for Java: %w", err)
	}
	f.Files[javaTrustPath] = store
	f.Env["JAVA_TOOL_OPTIONS"] = "-Djavax.net.ssl.trustStore=" + javaTrustPath + " -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=" + javaTrustPassword
	return nil
}

// certificates are those of a bundle that can be read.
func certificates(bundle []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for len(bundle) > 0 {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			out = append(out, c)
		}
	}
	return out
}
