# Sends standard input to the UNIX socket $1 and prints the reply, until the other end closes or is silent for 10 s.
# POSIX sh; no tool of POSIX opens a socket, so python3 or perl does. Status 46: neither is there; 47: nothing was
# sent, because the socket cannot be connected to.

if command -v python3 >/dev/null 2>&1; then
  exec python3 -I -c '
import socket, sys
link = socket.socket(socket.AF_UNIX)
link.settimeout(10)
try:
    link.connect(sys.argv[1])
except OSError as error:
    sys.stderr.write("%s\n" % error)
    sys.exit(47)
try:
    link.sendall(sys.stdin.buffer.read())
    data = link.recv(65536)
    while data:
        sys.stdout.buffer.write(data)
        data = link.recv(65536)
except OSError as error:
    sys.exit(str(error))
' "$1"
fi
if command -v perl >/dev/null 2>&1; then
  exec perl -MIO::Socket::UNIX -e '
    my $link = IO::Socket::UNIX->new(Peer => $ARGV[0]);
    if (!$link) { print STDERR "$!\n"; exit 47; }
    local $/;
    my $command = <STDIN>;
    $link->print($command) and $link->flush or die "$!\n";
    $SIG{ALRM} = sub { die "no reply within 10 s\n" };
    while (1) {
      alarm 10;
      my $size = sysread($link, my $data, 65536);
      defined $size or die "$!\n";
      $size or last;
      print $data;
    }
  ' "$1"
fi
echo "neither python3 nor perl is there" >&2
exit 46
