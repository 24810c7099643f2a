//! Endpoints as tasks: on tokio, and on an executor that knows no I/O.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use chaski_shm::{Client, Server};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

fn ends() -> (tempfile::TempDir, Server, Client) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shm");
    let server = Server::builder().directory(&path).bind("task").unwrap();
    let client = connect(&path);
    (directory, server, client)
}

/// A client, however late the doorman is.
fn connect(directory: &Path) -> Client {
    let builder = Client::builder().directory(directory).connect_within(Duration::from_secs(60));
    builder.connect("task").unwrap()
}

async fn serve(mut server: Server, requests: u32) {
    for _ in 0..requests {
        let request = server.recv_async().await.unwrap();
        let payload = request.to_vec();
        request.reply(&payload).unwrap();
    }
}

async fn ask(mut client: Client, requests: u32) {
    for n in 0..requests {
        if n % 16 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(client.call_async(&n.to_le_bytes()).await.unwrap(), n.to_le_bytes());
    }
}

#[test]
fn tasks_of_any_executor_talk() {
    let (_directory, server, client) = ends();
    let serving = thread::spawn(|| block_on(serve(server, 500)));
    block_on(ask(client, 500));
    serving.join().unwrap();
}

#[test]
fn a_task_and_a_thread_talk() {
    let (_directory, server, mut client) = ends();
    let serving = thread::spawn(|| block_on(serve(server, 200)));
    for n in 0..200_u32 {
        assert_eq!(client.call(&n.to_le_bytes()).unwrap(), n.to_le_bytes());
    }
    serving.join().unwrap();
}

#[test]
fn a_receive_that_is_dropped_takes_nothing() {
    let (_directory, mut server, mut client) = ends();
    let mut context = Context::from_waker(Waker::noop());
    for n in 0..50_u8 {
        assert!(pin!(server.recv_async()).poll(&mut context).is_pending());
        assert!(pin!(client.recv_async()).poll(&mut context).is_pending());
        client.send(&[n]).unwrap();
        let request = server.recv().unwrap();
        assert_eq!(request[..], [n]);
        request.reply(&[n]).unwrap();
        assert_eq!(client.recv().unwrap()[..], [n]);
    }
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use super::*;

    #[test]
    fn many_clients_in_a_runtime_of_several_threads() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shm");
        let server = Server::builder().directory(&path).bind("task").unwrap();
        runtime.block_on(async {
            let serving = tokio::spawn(serve(server, 8 * 100));
            let asking: Vec<_> = (0..8)
                .map(|_| {
                    let client = connect(&path);
                    tokio::spawn(async move {
                        let mut client = client;
                        for n in 0..100_u32 {
                            if n % 9 == 0 {
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            }
                            let answer = client.call_async(&n.to_le_bytes()).await.unwrap();
                            assert_eq!(answer, n.to_le_bytes());
                        }
                    })
                })
                .collect();
            for task in asking {
                task.await.unwrap();
            }
            serving.await.unwrap();
        });
    }
}
