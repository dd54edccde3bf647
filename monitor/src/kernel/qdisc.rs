//! Takes back the queueing disciplines that the daemon made.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use rtnetlink::{
    Handle, new_connection,
    packet_route::tc::{TcAttribute, TcHandle},
};

/// Removes the `clsact` of each interface, unless somebody else has put a filter into it.
pub(super) async fn remove_unused(interfaces: &BTreeSet<u32>) {
    let Ok((connection, handle, _)) = new_connection() else {
        return;
    };
    let connection = tokio::spawn(connection);
    for index in interfaces.iter().filter_map(|&index| i32::try_from(index).ok()) {
        if let Err(error) = remove_if_unused(&handle, index).await {
            tracing::debug!(index, %error, "clsact stays");
        }
    }
    connection.abort();
}

async fn remove_if_unused(handle: &Handle, index: i32) -> Result<(), rtnetlink::Error> {
    let mut filters = handle.traffic_filter(index);
    let ingress: Vec<_> = filters.get().ingress().execute().try_collect().await?;
    let egress: Vec<_> = filters.get().egress().execute().try_collect().await?;
    if !ingress.is_empty() || !egress.is_empty() {
        return Ok(());
    }
    let mut request = handle.qdisc().del(index);
    let message = request.message_mut();
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle { major: u16::MAX, minor: 0 };
    message.attributes.push(TcAttribute::Kind("clsact".to_owned()));
    request.execute().await
}
