package amrm

import (
	"sync"

	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// NMTokenCache holds the newest NM token per node. The YARN RM sends a node's token once per attempt (again after its
// restart or a key roll), so they are kept for the attempt's life. Safe for concurrent use.
type NMTokenCache struct {
	mu     sync.RWMutex
	tokens map[yarnid.NodeID]*token.Token
}

// NewNMTokenCache returns an empty cache.
func NewNMTokenCache() *NMTokenCache {
	return &NMTokenCache{tokens: map[yarnid.NodeID]*token.Token{}}
}

// NMToken returns a node's newest token.
func (c *NMTokenCache) NMToken(node yarnid.NodeID) (*token.Token, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	tok, ok := c.tokens[node]
	return tok, ok
}

func (c *NMTokenCache) store(tokens []nmToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tokens {
		c.tokens[t.node] = t.tok
	}
}
