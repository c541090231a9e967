"""What a client sends and reads, byte for byte: a connection, frames of WebSockets, and bytes that are made by a rule."""
import socket,struct,time,zlib,gzip,random
def gen(g):
    if isinstance(g,str): return g.encode()
    k=g.get('gen')
    enc=lambda s:s.encode('utf-8','surrogatepass')
    if k is None:
        pre=bytes.fromhex(g['prehex']) if 'prehex' in g else enc(g.get('pre',''))
        unit=bytes.fromhex(g['rephex']) if 'rephex' in g else enc(g['rep'])
        return pre+unit*g['n']+enc(g.get('post',''))
    if k=='lcg':
        x=12345; b=bytearray()
        for _ in range(g['n']): x=(x*1103515245+12345)&0x7fffffff; b.append(x>>16&255)
        return bytes(b)
    if k=='headers': return enc(g['pre'])+b''.join(b'H%d: x\r\n'%i for i in range(g['n']))+enc(g['post'])
    if k=='nest': return enc(g['pre'])+enc(g['open'])*g['n']+enc(g['mid'])+enc(g['close'])*g['n']+enc(g['post'])
    if k=='keys': return b'42["echo",{'+b','.join(b'"k%d":1'%i for i in range(g['n']))+b'}]'
    if k=='gzip_zeros': return gzip.compress(b'\0'*g['n'])
    def defl(data,final=False,c=None):
        c=c or zlib.compressobj(9,zlib.DEFLATED,-15)
        b=c.compress(data)+c.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)
        return b if final else b[:-4]
    if k=='deflate': return defl(enc(g['s']))
    if k=='deflate_hex': return defl(bytes.fromhex(g['hex']))
    if k=='deflate_zeros': return defl(b'\0'*g['n'])
    if k=='deflate_final': return defl(enc(g['s']),True)+bytes.fromhex(g.get('post_hex',''))
    if k=='deflate_far': r=random.Random(1).randbytes(g['n']); return defl(r+r[:2000])
    if k=='deflate_ctx':
        c=zlib.compressobj(9,zlib.DEFLATED,-15); o=[]
        for _ in range(2): o.append(c.compress(enc(g['s']))+c.flush(zlib.Z_SYNC_FLUSH))
        return o[g['i']][:-4]
    raise KeyError(k)
class Conn:
    def __init__(s,port,timeout=3,rcvbuf=None):
        s.s=socket.socket(); 
        if rcvbuf: s.s.setsockopt(socket.SOL_SOCKET,socket.SO_RCVBUF,rcvbuf)
        s.s.settimeout(timeout); s.s.connect(('127.0.0.1',port)); s.b=b''; s.eof=False
    def send(s,d,chunk=None):
        try:
            if chunk:
                for i in range(0,len(d),chunk): s.s.sendall(d[i:i+chunk])
            else: s.s.sendall(d)
            return True
        except OSError: s.eof=True; return False
    def more(s,timeout):
        s.s.settimeout(timeout)
        try:
            d=s.s.recv(65536)
            if not d: s.eof=True; return False
            s.b+=d; return True
        except socket.timeout: return False
        except OSError: s.eof=True; return False
    def http(s,timeout=3):
        end=time.time()+timeout
        while b'\r\n\r\n' not in s.b:
            if time.time()>end or not s.more(max(.01,end-time.time())):
                if s.eof or time.time()>end: return None
        h,_,rest=s.b.partition(b'\r\n\r\n'); st=h.split(b'\r\n')[0].split()
        code=int(st[1]) if len(st)>1 and st[1].isdigit() else -1
        cl=None; ch=False
        for l in h.split(b'\r\n')[1:]:
            if l.lower().startswith(b'content-length:'): cl=int(l.split(b':')[1])
            if l.lower().startswith(b'transfer-encoding:'): ch=True
        if code==101 or code<200: s.b=rest; return code,h,b''
        while (cl is not None and len(rest)<cl) or (ch and b'0\r\n\r\n' not in rest) or (cl is None and not ch and code not in(204,304)):
            if not s.more(max(.01,end-time.time())): break
            rest=s.b.partition(b'\r\n\r\n')[2]
        if cl is not None: s.b=rest[cl:]; rest=rest[:cl]
        else: s.b=b''
        return code,h,rest
    def frame(s,timeout):
        end=time.time()+timeout
        def need(n):
            while len(s.b)<n:
                if time.time()>end: return False
                if not s.more(max(.01,end-time.time())): 
                    if s.eof or time.time()>=end: return False
            return True
        if not need(2): return None
        op=s.b[0]&15; n=s.b[1]&127; o=2
        if n==126:
            if not need(4): return None
            n=struct.unpack('>H',s.b[2:4])[0]; o=4
        elif n==127:
            if not need(10): return None
            n=struct.unpack('>Q',s.b[2:10])[0]; o=10
        if not need(o+n): return None
        p=s.b[o:o+n]; r1=s.b[0]&0x40; s.b=s.b[o+n:]
        if r1:
            try: p=zlib.decompressobj(-15).decompress(p+b'\0\0\xff\xff')
            except Exception: p=b'<deflated>'
        return op,p
    def close(s,rst=False):
        try:
            if rst: s.s.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0))
            s.s.close()
        except OSError: pass
def mkframe(st,payload):
    b0=(st.get('fin',1)<<7)|(st.get('rsv',0)<<4)|st['opcode']; n=st.get('length',len(payload)); m=0x80 if st.get('mask',True) else 0
    h=bytes([b0,m|n]) if n<126 else bytes([b0,m|126])+struct.pack('>H',n) if n<65536 else bytes([b0,m|127])+struct.pack('>Q',n)
    if m:
        k=b'\x01\x02\x03\x04'; h+=k; L=len(payload)
        if L: payload=(int.from_bytes(payload,'big')^int.from_bytes((k*(L//4+1))[:L],'big')).to_bytes(L,'big')
    return h+payload
