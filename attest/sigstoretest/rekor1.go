package sigstoretest

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/runtime"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // the kinds of entries that this log takes
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.2"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
)

// treeID stands in the origin of a Rekor v1 checkpoint.
const treeID = 1193050959916656506

// A rekorV1 is a Rekor v1 log: entries are validated and made canonical by
// Rekor's own types.
type rekorV1 struct {
	key *signer
	der []byte
	id  string // hexadecimal SHA-256 of the key
	url string
	now func() time.Time

	lockedTree
	entries map[string]models.LogEntryAnon // by UUID
}

func newRekorV1(keys keyring, n int, now func() time.Time) *rekorV1 {
	key := keys.ecdsa256(fmt.Sprintf("rekor v1 %d", n))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic("sigstoretest: " + err.Error()) // a P-256 key always marshals
	}
	sum := sha256.Sum256(der)
	return &rekorV1{key: key, der: der, id: hex.EncodeToString(sum[:]), now: now,
		lockedTree: lockedTree{tree: newTree()}, entries: make(map[string]models.LogEntryAnon)}
}

func (l *rekorV1) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/log/entries", func(w http.ResponseWriter, r *http.Request) {
		body, err := canonical(r)
		if err != nil {
			rekorError(w, http.StatusBadRequest, err)
			return
		}
		uuid, entry, isNew, err := l.add(r.Context(), body)
		switch {
		case err != nil:
			rekorError(w, http.StatusInternalServerError, err)
		case !isNew:
			w.Header().Set("Location", l.url+"/api/v1/log/entries/"+uuid)
			rekorError(w, http.StatusConflict, fmt.Errorf("an equivalent entry already exists in the transparency log with UUID %s", uuid))
		default:
			w.Header().Set("Location", "/api/v1/log/entries/"+uuid)
			w.Header().Set("ETag", uuid)
			writeJSON(w, http.StatusCreated, models.LogEntry{uuid: entry})
		}
	})
	mux.HandleFunc("GET /api/v1/log/entries/{uuid}", func(w http.ResponseWriter, r *http.Request) {
		uuid := r.PathValue("uuid")
		l.mu.Lock()
		entry, ok := l.entries[uuid]
		l.mu.Unlock()
		if !ok {
			rekorError(w, http.StatusNotFound, fmt.Errorf("no entry %q", uuid))
			return
		}
		writeJSON(w, http.StatusOK, models.LogEntry{uuid: entry})
	})
	mux.HandleFunc("GET /api/v1/log/publicKey", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_ = pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: l.der})
	})
	mux.HandleFunc("GET /api/v1/log", func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		root := rfc6962.DefaultHasher.EmptyRoot()
		if l.edge.End() > 0 {
			var err error
			if root, err = l.edge.GetRootHash(nil); err != nil {
				rekorError(w, http.StatusInternalServerError, err)
				return
			}
		}
		note, err := l.checkpoint(r.Context(), l.edge.End(), root)
		if err != nil {
			rekorError(w, http.StatusInternalServerError, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"rootHash": hex.EncodeToString(root), "treeSize": l.edge.End(),
			"signedTreeHead": note, "treeID": fmt.Sprint(treeID), "inactiveShards": []any{}})
	})
	return mux
}

func rekorError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]any{"code": status, "message": err.Error()})
}

// canonical validates a proposed entry and returns the leaf.
func canonical(r *http.Request) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(r.Body, runtime.JSONConsumer())
	if err != nil {
		return nil, err
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(r.Context(), entry)
}

func (l *rekorV1) add(ctx context.Context, body []byte) (string, models.LogEntryAnon, bool, error) {
	uuid := fmt.Sprintf("%016x", uint64(treeID)) + hex.EncodeToString(rfc6962.DefaultHasher.HashLeaf(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry, ok := l.entries[uuid]; ok {
		return uuid, entry, false, nil
	}
	in, err := l.tree.add(body)
	if err != nil {
		return "", models.LogEntryAnon{}, false, err
	}
	note, err := l.checkpoint(ctx, in.size, in.root)
	if err != nil {
		return "", models.LogEntryAnon{}, false, err
	}
	index, size, integrated, root := int64(in.index), int64(in.size), l.now().Unix(), hex.EncodeToString(in.root)
	encoded := base64.StdEncoding.EncodeToString(body)
	set, err := l.promise(encoded, integrated, index)
	if err != nil {
		return "", models.LogEntryAnon{}, false, err
	}
	hashes := []string{}
	for _, h := range in.hashes {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	entry := models.LogEntryAnon{
		Body: encoded, IntegratedTime: &integrated, LogID: &l.id, LogIndex: &index,
		Verification: &models.LogEntryAnonVerification{
			InclusionProof:       &models.InclusionProof{Checkpoint: &note, Hashes: hashes, LogIndex: &index, RootHash: &root, TreeSize: &size},
			SignedEntryTimestamp: set,
		},
	}
	l.entries[uuid] = entry
	return uuid, entry, true, nil
}

// promise signs the entry and its time (a SET): canonical JSON of four fields.
func (l *rekorV1) promise(body string, integrated, index int64) ([]byte, error) {
	raw, err := json.Marshal(map[string]any{"body": body, "integratedTime": integrated, "logIndex": index, "logID": l.id})
	if err != nil {
		return nil, err
	}
	if raw, err = jsoncanonicalizer.Transform(raw); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(raw)
	return l.key.Sign(nil, digest[:], crypto.SHA256)
}

func (l *rekorV1) checkpoint(ctx context.Context, size uint64, root []byte) (string, error) {
	raw, err := util.CreateAndSignCheckpoint(ctx, logHost, treeID, size, root, noteSigner{l.key})
	return string(raw), err
}

// A noteSigner signs the SHA-256 of a checkpoint's text.
type noteSigner struct{ key *signer }

// SignMessage implements signature.Signer.
func (s noteSigner) SignMessage(message io.Reader, _ ...signature.SignOption) ([]byte, error) {
	h := sha256.New()
	if _, err := io.Copy(h, message); err != nil {
		return nil, err
	}
	return s.key.Sign(nil, h.Sum(nil), crypto.SHA256)
}

// PublicKey implements signature.Signer.
func (s noteSigner) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return s.key.Public(), nil
}
