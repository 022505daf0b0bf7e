package ugi

import (
	"fmt"
	"os/user"
	"strings"
	"sync"

	"github.com/flott-dev/flott/yarn/token"
)

// EnvUser is the variable that overrides the operating system's user on clusters without Kerberos.
const EnvUser = "HADOOP_USER_NAME"

// User is an identity towards Hadoop.
type User struct {
	// Name is whom servers are told, without realm.
	Name string

	mu          sync.Mutex
	credentials *token.Credentials // never changed in place once stored
}

// New is a user of that name with credentials, which may be nil.
func New(name string, credentials *token.Credentials) *User {
	if credentials == nil {
		credentials = &token.Credentials{}
	}
	return &User{Name: name, credentials: credentials.Clone()}
}

// Simple is the user for a cluster without Kerberos: HADOOP_USER_NAME in environ ("KEY=value" lines), else who runs the process.
func Simple(environ []string, credentials *token.Credentials) (*User, error) {
	for i := len(environ) - 1; i >= 0; i-- { // as in exec, the last of several counts
		if name, ok := strings.CutPrefix(environ[i], EnvUser+"="); ok && strings.TrimSpace(name) != "" {
			return New(strings.TrimSpace(name), credentials), nil
		}
	}
	u, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("look up the user that runs this process (set %s instead): %w", EnvUser, err)
	}
	return New(u.Username, credentials), nil
}

// Credentials is a copy of what the user holds now.
func (u *User) Credentials() *token.Credentials {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.credentials.Clone()
}

// Token is the user's token of a kind, or nil.
func (u *User) Token(kind token.Kind) *token.Token {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.credentials.OfKind(kind)
}

// Update changes the credentials: change gets a copy, which then replaces what was held. change runs under the user's lock and must
// not call the user.
func (u *User) Update(change func(*token.Credentials)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	next := u.credentials.Clone()
	change(next)
	u.credentials = next
}

// String is the name.
func (u *User) String() string { return u.Name }
