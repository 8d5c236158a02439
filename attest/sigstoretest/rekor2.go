package sigstoretest

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	sumdbnote "golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// logHost is the origin of Rekor v2 checkpoints: the host name, without port, of
// the log's base URL.
const logHost = "127.0.0.1"

// A rekorV2 is a Rekor v2 log. It takes hashedrekord entries of version 0.0.2,
// which cover digests of messages and of DSSE's pre-authentication encoding.
type rekorV2 struct {
	key ed25519.PrivateKey
	der []byte
	id  []byte
	url string

	lockedTree
	seen map[string]uint64
}

func newRekorV2(keys keyring, n int) *rekorV2 {
	key := keys.ed25519(fmt.Sprintf("rekor v2 %d", n))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic("sigstoretest: " + err.Error()) // an Ed25519 key always marshals
	}
	_, id, err := note.KeyHash(logHost, key.Public())
	if err != nil {
		panic("sigstoretest: " + err.Error())
	}
	return &rekorV2{key: key, der: der, id: id, lockedTree: lockedTree{tree: newTree()}, seen: make(map[string]uint64)}
}

// algorithms are those that a Rekor v2 takes signatures of.
var algorithms = []protocommon.PublicKeyDetails{
	protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
	protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512, protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
	protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256, protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256,
	protocommon.PublicKeyDetails_PKIX_ED25519_PH,
}

var errDuplicate = errors.New("an equivalent entry already exists in the transparency log")

func (l *rekorV2) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/log/entries", func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			rekorError(w, http.StatusBadRequest, err)
			return
		}
		entry, err := l.add(raw)
		if errors.Is(err, errDuplicate) {
			rekorError(w, http.StatusConflict, err)
			return
		}
		if err != nil {
			rekorError(w, http.StatusBadRequest, err)
			return
		}
		out, err := protojson.Marshal(entry)
		if err != nil {
			rekorError(w, http.StatusInternalServerError, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(out)
	})
	return mux
}

func (l *rekorV2) add(raw []byte) (*protorekor.TransparencyLogEntry, error) {
	req := new(rekortiles.CreateEntryRequest)
	if err := protojson.Unmarshal(raw, req); err != nil {
		return nil, err
	}
	if req.GetHashedRekordRequestV002() == nil {
		return nil, errors.New("want a hashedRekordRequestV002")
	}
	registry, err := signature.NewAlgorithmRegistryConfig(algorithms)
	if err != nil {
		return nil, err
	}
	entry, err := hashedrekord.ToLogEntry(req.GetHashedRekordRequestV002(), registry)
	if err != nil {
		return nil, err
	}
	body, err := protojson.Marshal(entry)
	if err != nil {
		return nil, err
	}
	if body, err = jsoncanonicalizer.Transform(body); err != nil {
		return nil, err
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if index, ok := l.seen[string(body)]; ok {
		return nil, fmt.Errorf("%w with index %d", errDuplicate, index)
	}
	in, err := l.tree.add(body)
	if err != nil {
		return nil, err
	}
	l.seen[string(body)] = in.index
	checkpoint, err := l.checkpoint(in)
	if err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          int64(in.index),
		LogId:             &protocommon.LogId{KeyId: l.id},
		KindVersion:       &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		CanonicalizedBody: body,
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: int64(in.index), RootHash: in.root, TreeSize: int64(in.size), Hashes: in.hashes,
			Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint},
		},
	}, nil
}

// checkpoint signs the tree's head (C2SP tlog-checkpoint).
func (l *rekorV2) checkpoint(in included) (string, error) {
	s, err := signature.LoadED25519Signer(l.key)
	if err != nil {
		return "", err
	}
	n, err := note.NewNoteSigner(context.Background(), logHost, s)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", logHost, in.size, base64.StdEncoding.EncodeToString(in.root))
	signed, err := sumdbnote.Sign(&sumdbnote.Note{Text: text}, n)
	return string(signed), err
}
