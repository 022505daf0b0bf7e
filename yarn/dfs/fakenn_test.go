package dfs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	pb "github.com/flott-dev/flott/yarn/proto/hdfspb"
)

// fakeNN is a NameNode on the real wire: a Mem for names, blocks for bytes, hooks for trouble.
type fakeNN struct {
	t   testing.TB
	srv *ipctest.Server
	mem *Mem
	dn  *fakeDN

	mu      sync.Mutex
	before  func(method string, c ipctest.Caller) error // an error replaces the call
	after   func(method string, c ipctest.Caller) error // an error replaces the answer
	calls   map[string]int
	files   map[uint64]*fakeFile
	nextID  uint64
	ec      bool
	crypt   bool
	page    int
	pending int // complete answers false so many times
}

type fakeFile struct {
	client string
	open   bool
	block  int64
	blocks []uint64
}

// A connection that the byte client makes carries its own client id; ours is the ipc.Client's.
func newFakeNN(t testing.TB) *fakeNN {
	t.Helper()
	n := &fakeNN{t: t, mem: NewMem(MemConfig{User: "alice"}), dn: newFakeDN(t), calls: map[string]int{}, files: map[uint64]*fakeFile{}, page: 1000}
	srv, err := ipctest.New(ipctest.Config{Simple: true, Handle: n.handle})
	if err != nil {
		t.Fatal(err)
	}
	n.srv = srv
	t.Cleanup(srv.Close)
	return n
}

func (n *fakeNN) count(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

func (n *fakeNN) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *fakeNN) handle(_ context.Context, c ipctest.Caller, protocol, method string, req []byte) (proto.Message, error) {
	if protocol != clientProtocol || c.User != "alice" {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.RpcNoSuchProtocolException", Message: protocol}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[method]++
	if n.before != nil {
		if err := n.before(method, c); err != nil {
			return nil, err
		}
	}
	f, ok := fakeMethods[method]
	if !ok {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.RpcNoSuchMethodException", Message: method}
	}
	resp, err := f(n, req)
	if err != nil {
		return nil, javaError(err)
	}
	if n.after != nil {
		err = n.after(method, c)
	}
	return resp, err
}

// javaError says in Java what Mem said in Go.
func javaError(err error) error {
	var r *ipc.RemoteError
	if errors.As(err, &r) {
		return r
	}
	class := "java.io.IOException"
	for c, k := range map[string]error{
		"java.io.FileNotFoundException":                         fs.ErrNotExist,
		"org.apache.hadoop.fs.FileAlreadyExistsException":       fs.ErrExist,
		"org.apache.hadoop.fs.ParentNotDirectoryException":      ErrNotDirectory,
		"org.apache.hadoop.fs.PathIsNotEmptyDirectoryException": ErrNotEmpty,
	} {
		if errors.Is(err, k) {
			class = c
		}
	}
	return &ipc.RemoteError{Class: class, Message: err.Error()}
}

// call decodes a request and goes on with the operation.
func call[R any, P interface {
	*R
	proto.Message
}](op func(*fakeNN, P) (proto.Message, error)) func(*fakeNN, []byte) (proto.Message, error) {
	return func(n *fakeNN, b []byte) (proto.Message, error) {
		req := P(new(R))
		if err := proto.Unmarshal(b, req); err != nil {
			return nil, err
		}
		return op(n, req)
	}
}

var bg = context.Background()

var fakeMethods = map[string]func(*fakeNN, []byte) (proto.Message, error){
	"getServerDefaults": call(func(*fakeNN, *pb.GetServerDefaultsRequestProto) (proto.Message, error) {
		return pb.GetServerDefaultsResponseProto_builder{ServerDefaults: pb.FsServerDefaultsProto_builder{BlockSize: proto.Uint64(1 << 20),
			BytesPerChecksum: proto.Uint32(512), WritePacketSize: proto.Uint32(65536), Replication: proto.Uint32(1),
			FileBufferSize: proto.Uint32(4096)}.Build()}.Build(), nil
	}),
	"getFileInfo": call(func(n *fakeNN, r *pb.GetFileInfoRequestProto) (proto.Message, error) {
		fi, err := n.mem.Stat(bg, r.GetSrc())
		if errors.Is(err, fs.ErrNotExist) {
			return &pb.GetFileInfoResponseProto{}, nil
		}
		return pb.GetFileInfoResponseProto_builder{Fs: n.status(fi, "")}.Build(), err
	}),
	"getListing": call(func(n *fakeNN, r *pb.GetListingRequestProto) (proto.Message, error) {
		fi, err := n.mem.Stat(bg, r.GetSrc())
		if errors.Is(err, fs.ErrNotExist) {
			return &pb.GetListingResponseProto{}, nil
		}
		list := []FileInfo{fi}
		if fi.IsDir {
			list, err = n.mem.List(bg, r.GetSrc())
		}
		l := pb.DirectoryListingProto_builder{RemainingEntries: proto.Uint32(0)}
		for _, c := range list {
			name := c.Name()
			if !fi.IsDir {
				name = ""
			}
			switch {
			case name != "" && name <= string(r.GetStartAfter()):
			case len(l.PartialListing) == n.page:
				l.RemainingEntries = proto.Uint32(*l.RemainingEntries + 1)
			default:
				l.PartialListing = append(l.PartialListing, n.status(c, name))
			}
		}
		return pb.GetListingResponseProto_builder{DirList: l.Build()}.Build(), err
	}),
	"mkdirs": call(func(n *fakeNN, r *pb.MkdirsRequestProto) (proto.Message, error) {
		perm := fileMode(r.GetMasked())
		fi, err := n.mem.Stat(bg, r.GetSrc())
		switch {
		case err == nil && !fi.IsDir:
			err = fs.ErrExist
		case err == nil: // an existing directory is success
		case r.GetCreateParent():
			err = n.mem.MkdirAll(bg, r.GetSrc(), perm)
		default:
			err = n.mem.Mkdir(bg, r.GetSrc(), perm)
		}
		return pb.MkdirsResponseProto_builder{Result: proto.Bool(true)}.Build(), err
	}),
	"rename2": call(func(n *fakeNN, r *pb.Rename2RequestProto) (proto.Message, error) {
		if r.GetOverwriteDest() {
			return nil, errors.New("overwriting was asked for")
		}
		from, ferr := n.mem.Stat(bg, r.GetSrc())
		to, terr := n.mem.Stat(bg, r.GetDst())
		if ferr == nil && terr == nil && from.IsDir != to.IsDir {
			return nil, errors.New("source and destination must both be directories")
		}
		return &pb.Rename2ResponseProto{}, n.mem.Rename(bg, r.GetSrc(), r.GetDst())
	}),
	"delete": call(func(n *fakeNN, r *pb.DeleteRequestProto) (proto.Message, error) {
		err := n.mem.Delete(bg, r.GetSrc(), r.GetRecursive())
		gone := err == nil
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return pb.DeleteResponseProto_builder{Result: proto.Bool(gone)}.Build(), err
	}),
	"setPermission": call(func(n *fakeNN, r *pb.SetPermissionRequestProto) (proto.Message, error) {
		return &pb.SetPermissionResponseProto{}, n.mem.SetPermission(bg, r.GetSrc(), fileMode(r.GetPermission()))
	}),
	"getBlockLocations": call(func(n *fakeNN, r *pb.GetBlockLocationsRequestProto) (proto.Message, error) {
		fi, err := n.mem.Stat(bg, r.GetSrc())
		if err == nil && fi.IsDir {
			err = &ipc.RemoteError{Class: "java.io.FileNotFoundException", Message: "Path is not a file: " + r.GetSrc()}
		}
		if err != nil {
			return nil, err
		}
		return pb.GetBlockLocationsResponseProto_builder{Locations: n.located(fi)}.Build(), nil
	}),
	"create": call(func(n *fakeNN, r *pb.CreateRequestProto) (proto.Message, error) {
		if r.GetCreateFlag() != 1 || r.GetCreateParent() {
			return nil, errors.New("unexpected flags of create")
		}
		w, err := n.mem.Create(bg, r.GetSrc(), CreateOptions{Perm: fileMode(r.GetMasked())})
		if err != nil {
			return nil, err
		}
		_ = w // the bytes lie on the DataNode; only the name is wanted
		fi, err := n.mem.Stat(bg, r.GetSrc())
		n.files[fi.FileID] = &fakeFile{client: r.GetClientName(), open: true, block: int64(r.GetBlockSize())}
		return pb.CreateResponseProto_builder{Fs: n.status(fi, "")}.Build(), err
	}),
	"complete": call(func(n *fakeNN, r *pb.CompleteRequestProto) (proto.Message, error) {
		f, err := n.leased(r.GetSrc(), r.GetClientName())
		if err != nil {
			return nil, err
		}
		done := n.pending == 0
		if !done {
			n.pending--
		}
		f.open = !done
		return pb.CompleteResponseProto_builder{Result: &done}.Build(), nil
	}),
	"isFileClosed": call(func(n *fakeNN, r *pb.IsFileClosedRequestProto) (proto.Message, error) {
		fi, err := n.mem.Stat(bg, r.GetSrc())
		if err != nil {
			return nil, err
		}
		return pb.IsFileClosedResponseProto_builder{Result: proto.Bool(!n.files[fi.FileID].open)}.Build(), nil
	}),
	"renewLease": call(func(*fakeNN, *pb.RenewLeaseRequestProto) (proto.Message, error) {
		return &pb.RenewLeaseResponseProto{}, nil
	}),
	"addBlock": func(n *fakeNN, b []byte) (proto.Message, error) { // AddBlockRequestProto: src=1, clientName=2
		f, err := n.leased(string(field(b, 1)), string(field(b, 2)))
		if err != nil {
			return nil, err
		}
		n.nextID++
		f.blocks = append(f.blocks, n.nextID)
		return wrapped(n.block(n.nextID, 0)), nil
	},
	"updateBlockForPipeline": func(n *fakeNN, b []byte) (proto.Message, error) { // block=1; the new generation is not used
		var eb pb.ExtendedBlockProto
		if err := proto.Unmarshal(field(b, 1), &eb); err != nil {
			return nil, err
		}
		return wrapped(n.block(eb.GetBlockId(), 0)), nil
	},
}

// leased returns the open file if the client holds its lease.
func (n *fakeNN) leased(p, client string) (*fakeFile, error) {
	fi, err := n.mem.Stat(bg, p)
	if err != nil {
		return nil, err
	}
	f := n.files[fi.FileID]
	if f == nil || !f.open || f.client != client {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", Message: p + ": client is not the holder"}
	}
	return f, nil
}

// field returns the bytes of one length-delimited field, for messages that we have no generated code for.
func field(b []byte, want protowire.Number) []byte {
	for len(b) > 0 {
		num, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return nil
		}
		b = b[k:]
		if num == want && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b)
			return v
		}
		b = b[max(protowire.ConsumeFieldValue(num, typ, b), 1):]
	}
	return nil
}

// wrapped is any message that carries block as its field 1.
func wrapped(block *pb.LocatedBlockProto) proto.Message {
	b, _ := proto.Marshal(block)
	m := &pb.MsyncResponseProto{}
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b))
	return m
}

func (n *fakeNN) block(id uint64, off int64) *pb.LocatedBlockProto {
	size := uint64(n.dn.size(id))
	host, port := n.dn.addr()
	return pb.LocatedBlockProto_builder{
		B:      pb.ExtendedBlockProto_builder{PoolId: proto.String("pool"), BlockId: &id, GenerationStamp: proto.Uint64(1), NumBytes: &size}.Build(),
		Offset: proto.Uint64(uint64(off)), Corrupt: proto.Bool(false),
		BlockToken: commonpb.TokenProto_builder{Identifier: []byte{}, Password: []byte{}, Kind: proto.String(""), Service: proto.String("")}.Build(),
		Locs: []*pb.DatanodeInfoProto{pb.DatanodeInfoProto_builder{Location: proto.String("/rack1"),
			Id: pb.DatanodeIDProto_builder{IpAddr: &host, HostName: proto.String("dn1"), DatanodeUuid: proto.String("uuid"), XferPort: &port,
				InfoPort: proto.Uint32(1), IpcPort: proto.Uint32(1)}.Build()}.Build()},
	}.Build()
}

func (n *fakeNN) length(fi FileInfo) (size int64) {
	if f := n.files[fi.FileID]; f != nil {
		for _, b := range f.blocks {
			size += int64(n.dn.size(b))
		}
	}
	return size
}

func (n *fakeNN) located(fi FileInfo) *pb.LocatedBlocksProto {
	out := pb.LocatedBlocksProto_builder{FileLength: proto.Uint64(uint64(n.length(fi))), UnderConstruction: proto.Bool(false),
		IsLastBlockComplete: proto.Bool(true), EcPolicy: n.ecPolicy(), FileEncryptionInfo: n.encryption()}
	var off int64
	for _, b := range n.files[fi.FileID].blocks {
		out.Blocks = append(out.Blocks, n.block(b, off))
		off += int64(n.dn.size(b))
	}
	return out.Build()
}

func (n *fakeNN) ecPolicy() *pb.ErasureCodingPolicyProto {
	if !n.ec {
		return nil
	}
	return pb.ErasureCodingPolicyProto_builder{Name: proto.String("RS-6-3-1024k"), Id: proto.Uint32(1)}.Build()
}

func (n *fakeNN) encryption() *pb.FileEncryptionInfoProto {
	if !n.crypt {
		return nil
	}
	return pb.FileEncryptionInfoProto_builder{Suite: pb.CipherSuiteProto_AES_CTR_NOPADDING.Enum(),
		CryptoProtocolVersion: pb.CryptoProtocolVersionProto_ENCRYPTION_ZONES.Enum(), Key: []byte{1}, Iv: []byte{1}, KeyName: proto.String("k1"),
		EzKeyVersionName: proto.String("k1@0")}.Build()
}

func (n *fakeNN) status(fi FileInfo, name string) *pb.HdfsFileStatusProto {
	typ := pb.HdfsFileStatusProto_IS_FILE
	if fi.IsDir {
		typ = pb.HdfsFileStatusProto_IS_DIR
	}
	return pb.HdfsFileStatusProto_builder{FileType: &typ, Path: bytes.Clone([]byte(name)), Length: proto.Uint64(uint64(n.length(fi))),
		Permission: permBits(fi.Perm), Owner: &fi.Owner, Group: &fi.Group, ModificationTime: proto.Uint64(uint64(fi.ModTimeMillis)),
		AccessTime: proto.Uint64(0), FileId: &fi.FileID, BlockReplication: proto.Uint32(1), Blocksize: proto.Uint64(1 << 20),
		EcPolicy: n.ecPolicy(), FileEncryptionInfo: n.encryption()}.Build()
}

// isByteClient tells the byte client's calls from ours by its client id, which is printable.
func isByteClient(c ipctest.Caller) bool {
	return strings.IndexFunc(string(c.ClientID), func(r rune) bool { return r < '0' || r > 'z' }) < 0
}
