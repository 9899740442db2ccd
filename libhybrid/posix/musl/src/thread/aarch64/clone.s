// Nothing: the personality has __clone, since only it can start a thread.
//
// Replaces musl's file of this name, and keeps musl's generic one, which always fails, out of the library.
