//! Workers whose handlers await, on tokio.
#![cfg(feature = "tokio")]

mod common;

use std::rc::Rc;
use std::time::Duration;

use chaski_pool::{AsyncWorker, BoxError, Pool, Reply, Seat, TaskContext};
use common::drain;
use tokio::net::{TcpListener, TcpStream};

/// Answers from a socket, with a timer and a local task on the way.
struct Echo;

impl AsyncWorker for Echo {
    type State = TcpListener;
    type Message = Reply<bool>;

    async fn build(&self, _: &Seat) -> Result<TcpListener, BoxError> {
        Ok(TcpListener::bind("127.0.0.1:0").await?)
    }

    async fn handle(&self, listener: &TcpListener, reply: Reply<bool>, _: &TaskContext) {
        let address = listener.local_addr().unwrap();
        let local = Rc::new(());
        let connecting = tokio::task::spawn_local(async move {
            let _local = local;
            tokio::time::sleep(Duration::from_millis(1)).await;
            TcpStream::connect(address).await.is_ok()
        });
        listener.accept().await.unwrap();
        let _ = reply.send(connecting.await.unwrap());
    }

    async fn tick(&self, _: &TcpListener, _: &TaskContext) {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

#[test]
fn handlers_have_sockets_timers_and_local_tasks() {
    let pool = Pool::builder().workers(2).tokio().tick(Duration::from_millis(1));
    let pool: Pool<u32, Reply<bool>> = pool.start_async(Echo).unwrap();
    let handle = pool.handle();
    for key in 0..20 {
        assert_eq!(handle.ask(&key, |reply| reply), Ok(true));
    }
    drain(pool);
}
