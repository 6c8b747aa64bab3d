// SPDX-License-Identifier: Apache-2.0

package dsse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// InToto is the payload type of in-toto statements.
const InToto = "application/vnd.in-toto+json"

// Envelope is a signed payload.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"` // base64 in JSON
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of the payload and its type.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// PAE is what is signed: the pre-authentication encoding.
func PAE(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// ParseSigner reads a private key, PEM: PKCS #8, or SEC 1 for ECDSA.
func ParseSigner(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM in it")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the key is encrypted, and nobody can be asked for the password")
	default:
		return nil, fmt.Errorf("PEM of type %q: want a private key", block.Type)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errKind
	}
	return signer, checkKind(signer.Public())
}

// ParsePublic reads a public key, PEM.
func ParsePublic(data []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("no public key in PEM form in it")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return key, checkKind(key)
}

var errKind = errors.New("want a key of Ed25519, or of ECDSA on P-256")

func checkKind(key crypto.PublicKey) error {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return nil
		}
	}
	return errKind
}

// KeyID is SHA-256, in hex, of the public key in DER.
func KeyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// Sign returns the JSON of an envelope.
func Sign(key crypto.Signer, payloadType string, payload []byte) ([]byte, error) {
	id, err := KeyID(key.Public())
	if err != nil {
		return nil, err
	}
	message := PAE(payloadType, payload)
	var sig []byte
	if _, ok := key.Public().(ed25519.PublicKey); ok {
		sig, err = key.Sign(rand.Reader, message, crypto.Hash(0))
	} else {
		sum := sha256.Sum256(message)
		sig, err = key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(Envelope{payloadType, payload, []Signature{{id, sig}}})
}

// Parse reads an envelope. Nothing in it is to be believed yet.
func Parse(data []byte) (Envelope, error) {
	var e Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("is no envelope: %w", err)
	}
	if e.PayloadType == "" || len(e.Signatures) == 0 {
		return e, errors.New("is no signed envelope")
	}
	return e, nil
}

// ErrSignature says that no signature of an envelope is by the key.
var ErrSignature = errors.New("no signature in it is by this key")

// Verify looks for a signature by the key.
func (e Envelope) Verify(key crypto.PublicKey) error {
	message := PAE(e.PayloadType, e.Payload)
	sum := sha256.Sum256(message)
	for _, s := range e.Signatures {
		switch key := key.(type) {
		case ed25519.PublicKey:
			if ed25519.Verify(key, message, s.Sig) {
				return nil
			}
		case *ecdsa.PublicKey:
			if ecdsa.VerifyASN1(key, sum[:], s.Sig) {
				return nil
			}
		}
	}
	return ErrSignature
}
