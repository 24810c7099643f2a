/* One message in, and out again: apt-get install libzmq3-dev; cc try.c -lzmq; ./a.out */
#include <stdio.h>
#include <zmq.h>

int main(void) {
    void *context = zmq_ctx_new();
    void *reader = zmq_socket(context, ZMQ_SUB);
    zmq_connect(reader, "@PUB@");
    zmq_setsockopt(reader, ZMQ_SUBSCRIBE, "", 0);
    void *intake = zmq_socket(context, ZMQ_PUSH);
    zmq_connect(intake, "@PULL@");
    /* A subscription takes a moment to arrive; what is published before it is not seen here. */
    zmq_pollitem_t readable = {reader, 0, ZMQ_POLLIN, 0};
    do {
        zmq_send(intake, "hello from libzmq", 17, 0);
    } while (zmq_poll(&readable, 1, 100) == 0);
    int more = 1;
    size_t size = sizeof more;
    while (more) {
        char frame[256];
        int bytes = zmq_recv(reader, frame, sizeof frame, 0);
        printf("%.*s\n", bytes < (int)sizeof frame ? bytes : (int)sizeof frame, frame);
        zmq_getsockopt(reader, ZMQ_RCVMORE, &more, &size);
    }
    zmq_close(intake);
    zmq_close(reader);
    zmq_ctx_term(context);
    return 0;
}
