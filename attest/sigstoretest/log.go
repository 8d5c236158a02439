package sigstoretest

import (
	"fmt"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// A tree is an append-only Merkle tree (RFC 6962) in memory. Its methods are
// called under the mutex of the log that owns it.
type tree struct {
	levels [][][]byte // hashes of complete subtrees: levels[l][i] covers leaves i*2^l to (i+1)*2^l-1
	edge   *compact.Range
}

func newTree() *tree {
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &tree{edge: factory.NewEmptyRange(0)}
}

// included is one leaf and its proof at the tree's present size.
type included struct {
	index, size uint64
	root        []byte
	hashes      [][]byte
}

func (t *tree) add(leaf []byte) (included, error) {
	hash := rfc6962.DefaultHasher.HashLeaf(leaf)
	index := t.edge.End()
	if err := t.edge.Append(hash, nil); err != nil {
		return included{}, err
	}
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		t.levels[level] = append(t.levels[level], hash)
		n := len(t.levels[level])
		if n%2 == 1 {
			break
		}
		hash = rfc6962.DefaultHasher.HashChildren(t.levels[level][n-2], t.levels[level][n-1])
	}
	return t.prove(index)
}

// prove proves that a leaf is in the tree as it is now.
func (t *tree) prove(index uint64) (included, error) {
	size := t.edge.End()
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return included{}, err
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		if id.Level >= uint(len(t.levels)) || id.Index >= uint64(len(t.levels[id.Level])) {
			return included{}, fmt.Errorf("no node %d at level %d", id.Index, id.Level)
		}
		hashes[i] = t.levels[id.Level][id.Index]
	}
	if hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren); err != nil {
		return included{}, err
	}
	root, err := t.edge.GetRootHash(nil)
	return included{index, size, root, hashes}, err
}

// A shared tree with the lock of its log.
type lockedTree struct {
	mu sync.Mutex
	*tree
}
