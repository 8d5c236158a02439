package verify

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A logged entry remembers the log, whose key must be valid at the time that
// something else proves.
type logged struct {
	evidence.LogEntry
	log  *root.TransparencyLog
	time []root.Timestamp // of the SET
}

// v1Origin is the first line of a Rekor v1 checkpoint: "NAME - TREEID".
var v1Origin = regexp.MustCompile(`\A[^\n]* - [0-9]+\n`)

func (v *Verifier) checkLogs(e *entity, tm material) ([]logged, error) {
	var out []logged
	seen := make(map[string]bool)
	for i, entry := range e.entries {
		id := hex.EncodeToString([]byte(entry.LogKeyID()))
		key := fmt.Sprintf("%s/%d", id, entry.LogIndex())
		if seen[key] {
			return nil, fail(LogInvalid, "entry %d of log %s twice", entry.LogIndex(), id)
		}
		seen[key] = true
		log, ok := tm.RekorLogs()[id]
		if !ok {
			continue // of a log that this root does not know: it proves nothing
		}
		tle := entry.TransparencyLogEntry()
		kind := tle.GetKindVersion()
		// An entry in the format of Rekor v2 binds its content through the
		// hash in the tree, and one of Rekor v1 field by field. An entry of one
		// format under a checkpoint of the other would be bound by neither.
		origin := v1Origin.MatchString(tle.GetInclusionProof().GetCheckpoint().GetEnvelope())
		if entry.HasInclusionProof() && origin == entry.IsRekorV2() {
			return nil, fail(LogInvalid, "entry %d of %s: %s %s under a checkpoint of another kind of log", entry.LogIndex(), log.BaseURL, kind.GetKind(), kind.GetVersion())
		}
		err := checkKind(tle)
		if err == nil && entry.HasInclusionProof() {
			err = checkProof(tle)
		}
		if err != nil {
			return nil, &Error{Reason: LogInvalid, Detail: fmt.Sprintf("entry %d of %s", entry.LogIndex(), log.BaseURL), Err: err}
		}
		one := *e
		one.entries = e.entries[i : i+1]
		times, err := sgverify.VerifyTlogEntry(&one, tm, 1, true)
		if err != nil {
			return nil, &Error{Reason: LogInvalid, Detail: fmt.Sprintf("entry %d of %s", entry.LogIndex(), log.BaseURL), Err: err}
		}
		out = append(out, logged{evidence.LogEntry{LogID: id, Log: log.BaseURL, Index: entry.LogIndex(),
			Kind: kind.GetKind() + " " + kind.GetVersion(), Included: entry.HasInclusionProof()}, log, times})
	}
	if len(out) == 0 && len(tm.RekorLogs()) > 0 && !v.cfg.InsecureNoLog {
		return nil, fail(NotLogged, "no entry of a log that trust root %s knows, among %d", v.root.name, len(e.entries))
	}
	return out, nil
}

// checkKind compares what the bundle calls an entry with the entry itself.
func checkKind(tle *protorekor.TransparencyLogEntry) error {
	var body struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := strictjson.Decode(tle.GetCanonicalizedBody(), &body, maxBodyDepth); err != nil {
		return err
	}
	if kv := tle.GetKindVersion(); kv.GetKind() != body.Kind || kv.GetVersion() != body.APIVersion {
		return fmt.Errorf("called %.32q %.32q, and is %.32q %.32q", kv.GetKind(), kv.GetVersion(), body.Kind, body.APIVersion)
	}
	return nil
}

// maxBodyDepth bounds the canonical body of a log entry; real ones have 8 levels.
const maxBodyDepth = 32

// checkProof checks the parts of a proof that sigstore-go does not read: it goes
// by the checkpoint, and for Rekor v2 by an entry that it makes anew. A bundle
// in which they say something else is not what the log gave out.
func checkProof(tle *protorekor.TransparencyLogEntry) error {
	p := tle.GetInclusionProof()
	// C2SP tlog-checkpoint: origin, size and root, one on each line.
	lines := strings.SplitN(p.GetCheckpoint().GetEnvelope(), "\n", 4)
	if len(lines) != 4 || lines[1] != strconv.FormatInt(p.GetTreeSize(), 10) || lines[2] != base64.StdEncoding.EncodeToString(p.GetRootHash()) {
		return errors.New("the proof and its checkpoint are of different trees")
	}
	if p.GetLogIndex() < 0 || p.GetTreeSize() < 0 {
		return errors.New("negative index or size")
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.GetLogIndex()), uint64(p.GetTreeSize()),
		rfc6962.DefaultHasher.HashLeaf(tle.GetCanonicalizedBody()), p.GetHashes(), p.GetRootHash())
}
