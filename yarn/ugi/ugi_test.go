package ugi

import (
	"os/user"
	"sync"
	"testing"

	"github.com/flott-dev/flott/yarn/token"
)

func TestSimpleName(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		environ []string
		want    string
	}{
		{"operating system", []string{"USER=other", "PATH=/bin"}, me.Username},
		{"variable", []string{"HADOOP_USER_NAME=alice"}, "alice"},
		{"last counts", []string{"HADOOP_USER_NAME=alice", "HADOOP_USER_NAME= bob "}, "bob"},
		{"empty is unset", []string{"HADOOP_USER_NAME="}, me.Username},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := Simple(tt.environ, nil)
			if err != nil || u.Name != tt.want {
				t.Errorf("got %v, %v, want %s", u, err, tt.want)
			}
		})
	}
}

func TestCredentialsAreCopies(t *testing.T) {
	given := &token.Credentials{}
	given.Put("", &token.Token{Kind: token.AMRM, Identifier: []byte("1")})
	u := New("alice", given)
	given.RemoveKind(token.AMRM)
	got := u.Credentials()
	got.RemoveKind(token.AMRM)
	if u.Token(token.AMRM) == nil {
		t.Error("a change of a copy reached the user")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			u.Update(func(c *token.Credentials) { c.Put("", &token.Token{Kind: token.AMRM, Identifier: []byte("2")}) })
			_ = u.Credentials().Encode()
		})
	}
	wg.Wait()
	if id := string(u.Token(token.AMRM).Identifier); id != "2" {
		t.Errorf("token after the update: got %s, want 2", id)
	}
	if u.Token(token.NM) != nil {
		t.Error("token of another kind: got one, want nil")
	}
}
